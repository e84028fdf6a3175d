"""`save` and `load`: what comes back is what went in, and what cannot is refused at once."""

import gzip
import io
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import fastnet
from fastnet import SigmoidMLPClassifier
from fastnet._files import schema

from .._support.model_files import (
    KINDS,
    archive_of,
    example,
    file_of,
    header_of,
    members_of,
    npy,
    same,
)

# Most tests ask for a number of epochs and get it.
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

kinds = pytest.mark.parametrize("kind", KINDS)


def saved(model, folder):
    path = folder / "model.fastnet"
    fastnet.save(model, path)
    return path


def reloaded(model, folder):
    return fastnet.load(saved(model, folder))


@kinds
def test_all_attributes_come_back(kind, tmp_path):
    model, _, _ = example(kind)
    again = reloaded(model, tmp_path)
    # A pickle, too, leaves out the state of a solver that will not go on.
    expected = vars(pickle.loads(pickle.dumps(model)))
    assert vars(again).keys() == expected.keys()
    different = [name for name, value in expected.items() if not same(value, vars(again)[name])]
    assert different == []
    assert type(again) is SigmoidMLPClassifier
    assert not any(isinstance(value, np.generic) for value in vars(again).values())


@kinds
def test_predictions_have_the_same_bits(kind, tmp_path):
    model, X, y = example(kind)
    again = reloaded(model, tmp_path)
    for method in ("predict", "predict_proba", "decision_function", "input_gradients"):
        ours, theirs = getattr(again, method)(X), getattr(model, method)(X)
        if method == "predict" and kind == "multilabel of sparse labels":
            ours, theirs = ours.toarray(), theirs.toarray()
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)
    assert again.score(X, y) == model.score(X, y)


@kinds
@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
def test_training_goes_on_to_the_same_bits(kind, tmp_path):
    model, X, y = example(kind)
    # What a pickle does with the solver's state is tested in test_persistence.py.
    model = pickle.loads(pickle.dumps(model))
    again = reloaded(model, tmp_path)
    train = "fit" if model.solver == "lbfgs" or model.early_stopping else "partial_fit"
    for _ in range(2):
        for estimator in (model, again):
            getattr(estimator, train)(X, y)
    assert same(vars(model), vars(again))


@kinds
def test_the_same_model_is_the_same_file(kind, tmp_path):
    path = saved(example(kind)[0], tmp_path)
    first = path.read_bytes()
    fastnet.save(fastnet.load(path), path)
    assert path.read_bytes() == first


@kinds
def test_a_loaded_model_is_one_vector_and_can_be_cloned_and_pickled(kind, tmp_path):
    model, X, _ = example(kind)
    again = reloaded(model, tmp_path)
    base = again.coefs_[0].base
    assert base.ndim == 1
    assert base.flags.writeable
    assert all(w.base is base for w in (*again.coefs_, *again.intercepts_))
    assert clone(again).get_params() == clone(model).get_params()
    copy = pickle.loads(pickle.dumps(again))
    assert same(vars(copy), vars(again))
    assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_numpy_opens_the_file_without_pickle(tmp_path):
    model, _, _ = example("validation, warm")
    path = saved(model, tmp_path)
    with np.load(path, allow_pickle=False) as arrays:
        for layer, (weights, biases) in enumerate(
            zip(model.coefs_, model.intercepts_, strict=True)
        ):
            assert_array_equal(arrays[f"coefs_{layer}"], weights)
            assert_array_equal(arrays[f"intercepts_{layer}"], biases)
        assert_array_equal(arrays["classes"], model.classes_)
        assert_array_equal(arrays["loss_curve"], model.loss_curve_)
        assert_array_equal(arrays["validation_scores"], model.validation_scores_)
        assert_array_equal(arrays["solver_state"], model._solver_state["state"])
        assert set(arrays) == {name.removesuffix(".npy") for name in members_of(path.read_bytes())}


def test_the_header_is_json_of_the_standard():
    model, _, _ = example("from weights")
    assert model.loss_ == np.inf
    header = header_of(file_of("from weights"))
    assert header["record"]["loss_"] == {"$float": "inf"}
    assert header["format"] == "fastnet.SigmoidMLPClassifier"
    assert header["format_version"] == 1
    assert header["fastnet_version"] == fastnet.__version__


def test_the_state_of_the_solver_is_there_only_to_go_on(tmp_path):
    X, y = example("multiclass")[1:]
    model = SigmoidMLPClassifier((300,), max_iter=1, random_state=0).fit(X, y)
    weights = sum(w.nbytes for w in (*model.coefs_, *model.intercepts_))
    assert weights < saved(model, tmp_path).stat().st_size < weights + 5_000
    model.partial_fit(X, y)
    assert 3 * weights < saved(model, tmp_path).stat().st_size < 3 * weights + 5_000


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": [np.int64(5)]},
        {"hidden_layer_sizes": [7, 7, 7]},
        {"alpha": np.float32(0.1), "tol": 0, "random_state": np.uint32(2**32 - 1)},
        {"n_iter_no_change": np.inf, "max_iter": 10**30, "verbose": 5, "shuffle": np.False_},
        {"class_weight": {"a\x00\ud800": 1e-320, None: -0.0, 0.1: np.nan, True: -np.inf}},
        {"class_weight": [{np.int8(0): 1}, {}, {np.str_("x"): np.float32(1)}]},
        {"class_weight": "balanced", "scoring": "loss", "n_jobs": -7, "max_grad_norm": 1e308},
        # None of these is that of the network.
        {"loss": "squared_error", "solver": "lbfgs", "fit_intercept": False},
    ],
    ids=str,
)
def test_parameters_come_back_as_they_were(parameters, tmp_path):
    model = clone_of("multiclass").set_params(**parameters)
    again = reloaded(model, tmp_path)
    assert same(model.get_params(), again.get_params())


def clone_of(kind):
    """Return an estimator that may be changed."""
    return pickle.loads(pickle.dumps(example(kind)[0]))


class Derived(SigmoidMLPClassifier):
    pass


def loss_of(estimator, X, y):
    return 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_state", np.random.RandomState(0)),
        ("scoring", loss_of),
        ("hidden_layer_sizes", np.array([5])),
        ("class_weight", Counter({0: 1})),
        ("class_weight", {(0, 1): 1}),
        ("class_weight", {b"a": 1}),
        ("class_weight", {np.datetime64("2026", "ns"): 1}),
        ("class_weight", {0: np.timedelta64(1, "ns")}),
        ("class_weight", [[[[[[]]]]]]),
        ("alpha", np.longdouble(1)),
    ],
    # An address would have another id in every process.
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_parameter_that_no_file_can_hold_is_named(name, value, tmp_path):
    path = saved(example("binary")[0], tmp_path)
    before = path.read_bytes()
    model = clone_of("binary").set_params(**{name: value})
    with pytest.raises(TypeError, match=f"{name} cannot be saved: .*set_params, or use pickle"):
        fastnet.save(model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def changed(**attributes):
    model = clone_of("multiclass")
    vars(model).update(attributes)
    return model


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: SigmoidMLPClassifier(), NotFittedError, "not fitted yet"),
        (lambda: Derived.from_weights([[[1.0]]], [[0.0]], [0, 1]), TypeError, "got Derived"),
        (lambda: {"coefs_": []}, TypeError, "got dict"),
        (lambda: make_pipeline(example("binary")[0]), TypeError, "got Pipeline. skops.io.dump"),
        (lambda: SigmoidMLPClassifier, TypeError, "got ABCMeta|got type"),
        (lambda: changed(alpha=-1.0), ValueError, "'alpha' parameter"),
        (lambda: changed(n_jobs=0), ValueError, "n_jobs"),
        (lambda: changed(note="mine"), TypeError, "attribute note, which no file can hold"),
        (lambda: changed(classes_=np.array([0, 1, 2])), ValueError, "3 classes"),
        (lambda: changed(classes_=np.array([0, 1, 2, 9])), ValueError, "differ from the classes"),
        (lambda: changed(classes_=np.array([3, 2, 1, 0])), ValueError, "ascending order"),
        (lambda: changed(classes_=np.array(list("abcd"), object)), TypeError, "dtype object"),
        (lambda: changed(classes_=np.arange(4, dtype="g")), TypeError, "dtype float128"),
        (lambda: changed(coefs_=[np.ones((9, 4))]), ValueError, "Expected 1"),
        (lambda: changed(n_features_in_=8), ValueError, "must have shape"),
        (lambda: changed(intercepts_=[np.full(5, np.inf), np.zeros(4)]), ValueError, "be finite"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(model, error, message, tmp_path):
    with pytest.raises(error, match=message):
        fastnet.save(model(), tmp_path / "model.fastnet")
    assert list(tmp_path.iterdir()) == []


def test_large_weights_that_are_not_finite_are_not_written(tmp_path):
    """Of a large network weights are written from where they are."""
    model = SigmoidMLPClassifier.from_weights([np.ones((30_000, 1))], [[0.0]], [0, 1])
    model.coefs_[0][-1] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        fastnet.save(model, tmp_path / "model.fastnet")


def test_callbacks_are_not_dropped_in_silence(tmp_path):
    callback = pytest.importorskip("sklearn.callback", reason="of scikit-learn 1.9")
    model = clone_of("binary").set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    with pytest.raises(TypeError, match=r"_skl_callbacks.*set_callbacks\(\)"):
        fastnet.save(model, tmp_path / "model.fastnet")
    assert same(reloaded(model.set_callbacks(), tmp_path).get_params(), model.get_params())


def test_saving_does_not_change_the_estimator(tmp_path):
    model = clone_of("adam, parts")
    before = pickle.dumps(model)
    saved(model, tmp_path)
    assert pickle.dumps(model) == before


def test_a_model_that_another_thread_trains_meanwhile_is_saved_as_it_was(tmp_path, monkeypatch):
    model, other = clone_of("binary"), clone_of("multiclass float32")
    check = schema._check_parameters

    def meanwhile(estimator):
        # As `fit` ends.
        model.__dict__ = dict(vars(other))
        check(estimator)

    monkeypatch.setattr(schema, "_check_parameters", meanwhile)
    path = saved(model, tmp_path)
    monkeypatch.undo()
    assert same(vars(fastnet.load(path)), vars(clone_of("binary")))


def test_a_loaded_model_is_independent_of_the_file(tmp_path):
    model, X, y = example("adam, parts")
    path = saved(model, tmp_path)
    first, second = fastnet.load(path), fastnet.load(path)
    first.partial_fit(X, y)
    first.coefs_[0][:] = 0.0
    first._solver_state["state"][:] = 0.0
    path.unlink()
    assert same(vars(second), vars(clone_of("adam, parts")))


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_order_of_bytes(order, tmp_path):
    """A file from a machine of the other kind."""
    for kind in ("strings", "adam, parts", "dates", "validation, warm"):
        members = members_of(file_of(kind))
        for name, content in members.items():
            array = np.load(io.BytesIO(content))
            members[name] = npy(array.astype(array.dtype.newbyteorder(order)))
        path = tmp_path / "other.fastnet"
        path.write_bytes(archive_of(members))
        again = fastnet.load(path)
        assert same(vars(again), vars(clone_of(kind)))
        assert all(w.dtype.isnative for w in (*again.coefs_, again.classes_))


def test_a_file_of_many_gigabytes(tmp_path, monkeypatch):
    """One that is large enough for zip's longer forms, by a limit that is not as large."""
    model, _, _ = example("padded rows")
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", 1_000)
        path = saved(model, tmp_path)
    assert b"PK\x06\x06" in path.read_bytes()
    assert same(vars(fastnet.load(path)), vars(clone_of("padded rows")))
    with np.load(path, allow_pickle=False) as arrays:
        assert_array_equal(arrays["coefs_0"], model.coefs_[0])


def test_paths(tmp_path, monkeypatch):
    model, _, _ = example("binary")
    monkeypatch.chdir(tmp_path)

    class Named:
        def __fspath__(self):
            return "named"

    names = ["text", Path("path"), Named(), str(tmp_path / "absolute"), "x" * 255, "ü \n", "*[a]?"]
    for path in names:
        fastnet.save(model, path)
        assert fastnet.load(path).get_params() == model.get_params()
    assert len(list(tmp_path.iterdir())) == len(names)
    for wrong in (b"bytes", 7, None):
        with pytest.raises(TypeError):
            fastnet.save(model, wrong)
        with pytest.raises(TypeError):
            fastnet.load(wrong)


def test_a_file_object_takes_and_gives_what_a_file_does(tmp_path):
    model, X, _ = example("multiclass")
    path = saved(model, tmp_path)
    with io.BytesIO(b"before") as file:
        file.seek(6)
        fastnet.save(model, file)
        assert file.getvalue() == b"before" + path.read_bytes()
        file.seek(6)
        assert_array_equal(fastnet.load(file).predict_proba(X), model.predict_proba(X))
    with gzip.open(tmp_path / "model.gz", "wb") as file:
        fastnet.save(model, file)
    with gzip.open(tmp_path / "model.gz") as file:
        assert same(vars(fastnet.load(file)), vars(fastnet.load(path)))


class Unbuffered(io.RawIOBase):
    """A file that takes a hundred bytes at a time, as the system may."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, part):
        self.content += bytes(part[:100])
        return min(100, len(part))


def test_a_file_that_takes_a_part_is_given_the_rest():
    file = Unbuffered()
    fastnet.save(example("binary")[0], file)
    assert file.content == file_of("binary")


class Uncounted:
    """An object with `write` that does not say how much it took."""

    def __init__(self):
        self.content = b""

    def write(self, part):
        self.content += bytes(part)


def test_an_object_that_does_not_count_is_given_all_once():
    file = Uncounted()
    fastnet.save(example("binary")[0], file)
    assert file.content == file_of("binary")


def test_a_file_that_would_block_is_an_error():
    class Blocking(Unbuffered):
        def write(self, part):
            return None

    with pytest.raises(BlockingIOError, match="would block"):
        fastnet.save(example("binary")[0], Blocking())


def test_a_file_object_that_is_no_model_is_refused(tmp_path):
    model, _, _ = example("binary")
    content = saved(model, tmp_path).read_bytes()
    for damaged in (b"", content[:-1], content + b"x", content.replace(b"binary", b"Binary")):
        with pytest.raises(ValueError, match=r"BytesIO object .* cannot be loaded: "):
            fastnet.load(io.BytesIO(damaged))
    with io.StringIO() as file, pytest.raises(TypeError, match="string argument expected"):
        fastnet.save(model, file)
    for text in ("", content.decode("latin")):
        with pytest.raises(TypeError, match="a model is not text"):
            fastnet.load(io.StringIO(text))
