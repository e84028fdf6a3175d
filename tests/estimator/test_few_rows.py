"""Few rows: the bits of panels, and never a model that the estimator no longer is."""

import copy
import io
import pickle
from threading import Event, Thread
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone

import fastnet
from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine import dispatch

from ..reference import DTYPES, Array

OUTPUTS = {
    "logits": kernels.LOGITS,
    "sigmoid": kernels.SIGMOID,
    "softmax": kernels.SOFTMAX,
    "pair": kernels.PAIR,
    "exp": kernels.EXPONENTIAL,
}
NETWORKS = [(3, 1), (1, 1), (5, 4), (28, 64, 1), (2, 7, 3), (28, 33, 9, 4), (3, 128, 1)]
dtypes = pytest.mark.parametrize("dtype", DTYPES)

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6))
y = np.arange(200) % 3
METHODS = ("predict_proba", "decision_function", "predict")


def in_panels(plan: Array, params: Array, X: Array, output: int) -> Array:
    width = kernels.panel_lanes(X.dtype)
    n_columns = 2 if output == kernels.PAIR else int(plan[-1, 1])
    out = np.full((len(X), n_columns), np.nan, X.dtype)
    panels = kernels.new_panels(plan, 1, width, X.dtype)
    order = np.empty(2 * width, np.int64)
    zeros = np.zeros(1, X.dtype)
    settings = (plan, params, output, len(plan) - 1)
    claims = kernels.new_claims(n_blocks=-(-len(X) // width))
    kernels.forward.serial(
        *(X, None, None, order, *settings, panels, 1, 1, out.ravel(), zeros, claims, 0, 1)
    )
    return out


def in_rows(plan: Array, params: Array, X: Array, output: int) -> tuple[Array, float]:
    n_columns = 2 if output == kernels.PAIR else int(plan[-1, 1])
    out = np.full((len(X), n_columns), np.nan, X.dtype)
    work = np.full(2 * len(X) * int(plan[:, 1].max()) + 2, np.nan, X.dtype)
    settings = (plan, params, output, params.size, work)
    return out, kernels.forward_rows(len(X), X.ravel(), *settings, out.ravel())


def assert_same_bits(sizes: Any, fit_intercept: bool, dtype: Any) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype))
    params = rng.normal(size=kernels.count_parameters(plan)).astype(dtype)
    for n_rows in (1, 2, 3, 4, 5, 11, 33):
        X = rng.normal(size=(n_rows, sizes[0])).astype(dtype)
        for output in OUTPUTS.values():
            if output == kernels.PAIR and sizes[-1] != 1:
                continue
            rows, zero = in_rows(plan, params, X, output)
            assert zero == 0
            assert rows.tobytes() == in_panels(plan, params, X, output).tobytes()


@dtypes
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("sizes", [*NETWORKS, (300, 140, 5), (130, 1)], ids=str)
def test_rows_have_the_bits_of_panels(sizes: Any, fit_intercept: bool, dtype: Any) -> None:
    assert_same_bits(sizes, fit_intercept, dtype)


@dtypes
def test_they_do_at_every_width(dtype: Any) -> None:
    for width in range(1, 71):
        assert_same_bits((5, width, 1), True, dtype)
        assert_same_bits((5, width), False, dtype)


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_it_says_whether_all_is_finite(bad: float, dtype: Any) -> None:
    plan = kernels.plan_network((3, 20, 2), True, kernels.panel_lanes(dtype))
    params = rng.normal(size=kernels.count_parameters(plan)).astype(dtype)
    X = rng.normal(size=(5, 3)).astype(dtype)
    for array in (params, X):
        for place in range(array.size):
            array, kept = array.ravel(), array.ravel()[place]
            array[place] = bad
            assert np.isnan(in_rows(plan, params, X, kernels.LOGITS)[1])
            array[place] = kept
    assert in_rows(plan, params, X, kernels.LOGITS)[1] == 0


@pytest.fixture
def model() -> Any:
    """Return a model that has predicted, so that it keeps what it made ready."""
    model = SigmoidMLPClassifier((5,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    model.predict_proba(X[:1])
    assert model._kept is not None
    return model


def assert_up_to_date(model: Any) -> None:
    """Assert that few rows are predicted with the weights that there are now."""
    fresh = copy.copy(model)
    assert fresh._kept is None
    for method in METHODS:
        # Many rows always go the full way.
        expected = getattr(fresh, method)(X)[:3]
        assert_array_equal(getattr(model, method)(X[:3]), expected, strict=True)
        assert_array_equal(getattr(model, method)(X[:3]), expected, strict=True)


CHANGES = {
    "nothing": lambda m: None,
    "fit": lambda m: m.set_params(max_iter=2, tol=1.0, n_iter_no_change=1).fit(X, y),
    "fit, others": lambda m: m.set_params(solver="lbfgs").fit(X, y % 2),
    "partial_fit": lambda m: m.partial_fit(X, y),
    "set_params": lambda m: m.set_params(n_jobs=1, solver="sgd"),
    "coefs_": lambda m: setattr(m, "coefs_", [2 * c for c in m.coefs_]),
    "an array of it": lambda m: m.coefs_.__setitem__(1, 2 * m.coefs_[1]),
    "its elements": lambda m: m.coefs_[0].__setitem__((0, 1), 7.0),
    "intercepts_": lambda m: setattr(m, "intercepts_", [2 * c for c in m.intercepts_]),
    "biases": lambda m: m.intercepts_[1].__setitem__(0, 7.0),
    "out_activation_": lambda m: setattr(m, "out_activation_", "logistic"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Training has hardly moved")
def test_a_prediction_is_of_the_model_as_it_is(change: str, model: Any) -> None:
    CHANGES[change](model)
    assert_up_to_date(model)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_keeps_nothing_of_the_other(way: str, model: Any) -> None:
    other = COPIES[way](model)
    assert other._kept is None
    other.predict_proba(X[:1])
    other.coefs_ = [2 * coef for coef in other.coefs_]
    assert_up_to_date(other)
    assert_up_to_date(model)
    other.__setstate__(model.__getstate__())
    assert_up_to_date(other)


def test_what_is_kept_is_in_no_file(model: Any, tmp_path: Any) -> None:
    fresh = copy.copy(model)
    assert pickle.dumps(model) == pickle.dumps(fresh)
    assert joblib.hash(model) == joblib.hash(fresh)
    assert vars(model).keys() == vars(fresh).keys()
    assert not hasattr(clone(model), "coefs_")
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    assert_up_to_date(joblib.load(buffer))
    fastnet.save(model, tmp_path / "model")
    assert_up_to_date(fastnet.load(tmp_path / "model"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float, model: Any) -> None:
    few = X[:2].copy()
    few[1, 3] = bad
    for method in METHODS:
        with pytest.raises(ValueError, match="Input X contains"):
            getattr(model, method)(few)
    model.coefs_[1][2, 1] = bad
    for method in METHODS:
        with pytest.raises(ValueError, match="must be finite"):
            getattr(model, method)(X[:2])


@pytest.mark.parametrize(
    ("name", "value"), [("n_features_in_", 5), ("n_outputs_", 2), ("out_activation_", "tanh"),
                        ("n_jobs", 0)]
)  # fmt: skip
def test_attributes_that_contradict_are_refused(name: str, value: Any, model: Any) -> None:
    setattr(model, name, value)
    with pytest.raises(ValueError, match=r"features|outputs|out_activation_|n_jobs"):
        model.predict_proba(X[:1])


def test_rows_in_any_layout_are_the_same(model: Any) -> None:
    expected = model.predict_proba(X[:4])
    read_only = X[:4].copy()
    read_only.flags.writeable = False
    for few in (read_only, np.asfortranarray(X[:4]), X[:4].tolist(), X[:4].astype(">f8")):
        assert_array_equal(model.predict_proba(few), expected, strict=True)


def test_a_thread_has_the_old_model_or_the_new_one(model: Any) -> None:
    models = [copy.deepcopy(model)]
    for _ in range(20):
        models.append(copy.deepcopy(models[-1]).partial_fit(X, y))
    allowed = {m.predict_proba(X[:2]).tobytes() for m in models}
    done = Event()
    seen: set[bytes] = set()

    def predict() -> None:
        while not done.is_set():
            seen.add(model.predict_proba(X[:2]).tobytes())

    threads = [Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            model.partial_fit(X, y)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert seen
    assert seen <= allowed
    assert_up_to_date(model)


def sparse_model() -> Any:
    return SigmoidMLPClassifier((5,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])


def sparse_rows(**changes: Any) -> Any:
    """Return three sparse rows, with some of their arrays as told."""
    arrays = {"data": [1.0, 2.0, 3.0], "indices": [0, 5, 2], "indptr": [0, 2, 2, 3]} | changes
    matrix = sparse.csr_array((3, 6))
    for name, values in arrays.items():
        setattr(matrix, name, np.array(values, getattr(matrix, name).dtype))
    return matrix


def test_sparse_rows_are_predicted_as_dense_ones() -> None:
    model = sparse_model()
    matrix = sparse_rows()
    before = dict(vars(matrix))
    for method in METHODS:
        expected = getattr(model, method)(matrix.toarray())
        assert_array_equal(getattr(model, method)(matrix), expected)
    assert vars(matrix) == before
    # Entries out of order, or in several parts, are taken as well.
    twice = sparse_rows(indices=[5, 5, 2])
    assert_array_equal(model.predict_proba(twice), model.predict_proba(twice.toarray()))


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": [0, 6, 2]},
        {"indices": [0, -1, 2]},
        {"indices": [0, 500_000_000, 2]},
        {"indptr": [0, 2, 1, 3]},
        {"indptr": [1, 2, 2, 3]},
        {"indptr": [0, 2, 2, 4]},
        {"data": [1.0, np.nan, 3.0]},
    ],
    ids=str,
)
def test_sparse_rows_that_contradict_themselves_are_refused(changes: Any) -> None:
    model = sparse_model()
    for method in METHODS:
        with pytest.raises(ValueError):  # noqa: PT011
            getattr(model, method)(sparse_rows(**changes))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n_rows", "is_counted"), [(9, False), (10, True)])
def test_what_takes_long_is_a_busy_thread(n_rows, is_counted, monkeypatch):
    model = SigmoidMLPClassifier((20,), max_iter=1).fit(X, y)
    n_parameters = model._network().n_parameters
    monkeypatch.setattr(dispatch, "MIN_COUNTED_WORK", 10 * n_parameters)
    counted = []

    def run_serial(function, *args):
        counted.append(function)
        return function(*args)

    monkeypatch.setattr(dispatch, "run_serial", run_serial)
    p = model.predict_proba(X[:n_rows])
    assert counted == [kernels.forward_rows] * is_counted
    assert_array_equal(p, model.predict_proba(X)[:n_rows])
