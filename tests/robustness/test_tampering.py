"""Fitted attributes that a user replaced: the bits of a plain copy, or an error before a kernel.

numba checks no bounds: what does not fit together would be read beyond its end.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.preprocessing import LabelBinarizer

from fastnet import SigmoidMLPClassifier
from fastnet._engine import network as engine_network

from .._support.refusals import PREDICTING, record_launches, refusal

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X = np.random.default_rng(0).normal(size=(40, 4))
y = np.arange(40) % 3

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(scope="module")
def models():
    """Return models that were fitted, and trained in part so that they have a state."""
    return {
        dtype: SigmoidMLPClassifier((5,), random_state=0).partial_fit(
            X.astype(dtype), y, classes=[0, 1, 2]
        )
        for dtype in (np.float32, np.float64)
    }


def replaced(model: Any, name: str, change: Any) -> Any:
    """Return a copy of which a list has one array, the first, replaced."""
    model = copy.deepcopy(model)
    arrays = list(getattr(model, name))
    arrays[0] = change(arrays[0])
    setattr(model, name, arrays)
    return model


def strided(array: Any) -> Any:
    wide = np.zeros(tuple(3 * n for n in array.shape), array.dtype)
    part = wide[tuple(slice(1, None, 3) for _ in array.shape)]
    part[...] = array
    return part


def unaligned(array: Any) -> Any:
    shifted = bytearray(1) + array.tobytes()
    return np.frombuffer(shifted, array.dtype, offset=1).reshape(array.shape)


def read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


SAME = {
    "copied": np.copy,
    "by columns": np.asfortranarray,
    "backwards": lambda array: array[::-1].copy()[::-1],
    "strided": strided,
    "unaligned": unaligned,
    "read-only": read_only,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "long": lambda array: array.astype(np.longdouble),
    "list": lambda array: array.tolist(),
    "matrix": lambda array: array.view(np.matrix) if array.ndim == 2 else array.copy(),
    "masked": lambda array: np.ma.masked_array(array, array > 0),
}


@dtypes
@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("way", SAME)
def test_layout_and_type_make_no_difference(way, is_large, dtype, models, monkeypatch):
    """But for a float32 network, which takes the dtype of its weights."""
    monkeypatch.setattr(engine_network, "_MANY_PARAMETERS", 0 if is_large else 10**6)
    features = X.astype(dtype)
    for name in ("coefs_", "intercepts_"):
        expected = copy.deepcopy(models[dtype])
        if dtype is np.float32 and name == "coefs_" and way in ("long", "list"):
            expected = replaced(expected, name, np.float64)
        model = replaced(models[dtype], name, SAME[way])
        for method in PREDICTING:
            ours, theirs = (getattr(m, method)(features) for m in (model, expected))
            for a, b in zip(ours, theirs, strict=True):
                assert_array_equal(a, b, strict=True)
        for m in (model, expected):
            m.partial_fit(features, y)
        assert_array_equal(model.coefs_[0], expected.coefs_[0], strict=True)
        assert model.loss_ == expected.loss_


@pytest.mark.parametrize(
    "kind", [np.float16, np.int8, np.uint64, bool, np.float32], ids=lambda kind: kind.__name__
)
def test_weights_of_other_real_types_are_those_numbers(kind, models):
    def rounded(array: Any) -> Any:
        return (array * 100).astype(kind)

    for name in ("coefs_", "intercepts_"):
        model = replaced(models[np.float64], name, rounded)
        expected = replaced(models[np.float64], name, lambda a: rounded(a).astype(float))
        assert_array_equal(model.predict_proba(X), expected.predict_proba(X), strict=True)


def test_a_vector_that_is_not_aligned_is_copied(monkeypatch):
    """Of a large network, arrays are not copied if they are views of a vector already."""
    monkeypatch.setattr(engine_network, "_MANY_PARAMETERS", 0)
    network = engine_network.Network((3, 4, 2), True, np.dtype(float))
    vector = network.initial_parameters("normal", np.random.RandomState(0))
    raw = np.frombuffer(bytearray(1 + 2 * vector.nbytes), float, offset=1)
    from_there = raw[(-raw.ctypes.data % 128) // 8 :][: vector.size]
    from_there[:] = vector
    flat = network.flat(*network.views(from_there))
    assert flat.flags.aligned
    assert_array_equal(flat, vector)


WRONG = {
    "fewer rows": lambda array: array[:-1],
    "more rows": lambda array: np.concatenate([array, array[:1]]),
    "transposed": lambda array: array.T if array.ndim == 2 else array[:, np.newaxis],
    "flat": lambda array: np.append(array, 1.0).ravel(),
    "3-D": lambda array: array[np.newaxis, np.newaxis],
    "scalar": lambda array: 0.5,
    "None": lambda array: None,
    "text": lambda array: "weights",
    "ragged": lambda array: [[1.0, 2.0], [3.0]],
    "complex": lambda array: array + 1j,
    "real complex": lambda array: array + 0j,
    "strings": lambda array: array.astype(str),
    "bytes": lambda array: array.astype("S20"),
    "objects": lambda array: array.astype(object),
    "dates": lambda array: (1000 * array).astype("M8[s]"),
    "durations": lambda array: (1000 * array).astype("m8[s]"),
    "records": lambda array: np.zeros(array.shape, [("a", float)]),
    "empty": lambda array: array[:0],
    "NaN": lambda array: array * np.nan,
    "infinite": lambda array: array + np.inf,
    "too large": lambda array: array.astype(np.longdouble) * np.longdouble("1e4000"),
}  # fmt: skip
WRONG_LISTS = {
    "None": lambda arrays: None,
    "number": lambda arrays: 3,
    "text": lambda arrays: "weights",
    "dict": lambda arrays: dict(enumerate(arrays)),
    "empty": lambda arrays: [],
    "one fewer": lambda arrays: arrays[:-1],
    "one more": lambda arrays: [*arrays, arrays[-1]],
    "swapped": lambda arrays: arrays[::-1],
    "an array": lambda arrays: arrays[0],
    "a generator": lambda arrays: iter(arrays),
}


def assert_refused(model: Any, launched: list[Any]) -> None:
    """Assert that nothing works, that it is said why, and that no kernel has run."""
    calls = [(method, (X,)) for method in PREDICTING]
    calls += [(m, (X, y)) for m in ("sample_gradients", "loss_gradients", "partial_fit", "score")]
    for method, arguments in [*calls, ("to_sklearn", ())]:
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(model, method)(*arguments)
        assert any(
            word in str(caught.value)
            for word in ("coefs", "intercepts", "real numbers", "setting an array element")
        ), caught.value
    assert launched == []


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
@pytest.mark.parametrize("way", WRONG)
def test_wrong_arrays_reach_no_kernel(way, name, models, monkeypatch):
    launched = record_launches(monkeypatch)
    assert_refused(replaced(models[np.float64], name, WRONG[way]), launched)


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
@pytest.mark.parametrize("way", WRONG_LISTS)
def test_wrong_lists_reach_no_kernel(way, name, models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    setattr(model, name, WRONG_LISTS[way](getattr(model, name)))
    assert_refused(model, launched)


def test_layers_without_units_reach_no_kernel(models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    model.coefs_ = [np.zeros((4, 0)), np.zeros((0, 3))]
    model.intercepts_ = [np.zeros(0), np.zeros(3)]
    assert_refused(model, launched)


@pytest.mark.parametrize("n_features", [5, 3, 0, -1, 2**63, None, "4"])
def test_another_number_of_features_reaches_no_kernel(n_features, models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    model.n_features_in_ = n_features
    for method in PREDICTING:
        for features in (X, X[:, :3], np.hstack([X, X[:, :1]])):
            with pytest.raises((ValueError, TypeError)):
                getattr(model, method)(features)
    assert launched == []


@pytest.mark.parametrize("n_outputs", [1, 2, 4, None])
def test_another_number_of_outputs_reaches_no_kernel(n_outputs, models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    model.n_outputs_ = n_outputs
    assert_refused(model, launched)


@pytest.mark.parametrize("activation", ["identity", "relu", None, 3])
def test_another_output_activation_reaches_no_kernel(activation, models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    model.out_activation_ = activation
    for method in ("predict_proba", "predict_log_proba", "activations", "input_gradients"):
        with pytest.raises(ValueError, match="out_activation_"):
            getattr(model, method)(X)
    assert launched == []


BINARIZERS = {
    "two classes": LabelBinarizer().fit([0, 1]),
    "four classes": LabelBinarizer().fit([0, 1, 2, 3]),
    "two labels": LabelBinarizer().fit(np.eye(2, dtype=int)),
    "four labels": LabelBinarizer().fit(np.eye(4, dtype=int)),
    "not fitted": LabelBinarizer(),
    "none": None,
}


@pytest.mark.parametrize("name", BINARIZERS)
def test_targets_for_other_outputs_reach_no_kernel(name, models, monkeypatch):
    launched = record_launches(monkeypatch)
    model = copy.deepcopy(models[np.float64])
    model._label_binarizer = BINARIZERS[name]
    for labels in (y, np.eye(4, dtype=int)[y], np.eye(2, dtype=int)[y % 2]):
        for method in ("sample_gradients", "loss_gradients", "partial_fit"):
            assert refusal(model, method, X, labels) is not None
    assert launched == []


STATES = {
    "too short": lambda state: {**state, "state": state["state"][:-1]},
    "empty": lambda state: {**state, "state": state["state"][:0]},
    "2-D": lambda state: {**state, "state": state["state"].reshape(2, -1)},
    "no powers": lambda state: {**state, "powers": state["powers"][:0]},
    "one power": lambda state: {**state, "powers": state["powers"][:1]},
    "no dict": lambda state: 3,
    "empty dict": lambda state: {},
}


@pytest.mark.parametrize("way", STATES)
def test_a_state_of_another_size_is_not_written_to(way, models, monkeypatch):
    """It is of no use, so that the solver starts afresh, or it is refused."""
    model = copy.deepcopy(models[np.float64])
    fresh = copy.deepcopy(model)
    fresh._solver_state = None
    model._solver_state = STATES[way](model._solver_state)
    launched = record_launches(monkeypatch)
    if refusal(model, "partial_fit", X, y) is None:
        fresh.partial_fit(X, y)
        assert_array_equal(model.coefs_[0], fresh.coefs_[0])
    else:
        assert launched == []


@pytest.mark.parametrize("way", ["transposed", "complex", "strings", "NaN", "None"])
def test_a_pickle_of_them_is_refused_or_used_as_little(way, models, monkeypatch):
    launched = record_launches(monkeypatch)
    pickled = pickle.dumps(replaced(models[np.float64], "coefs_", WRONG[way]))
    with pytest.raises(ValueError, match=r"coefs"):
        pickle.loads(pickled)
    assert launched == []


def test_a_conversion_has_the_layers_that_there_are(models):
    model = copy.deepcopy(models[np.float64])
    model.n_layers_ = 7
    mlp = model.to_sklearn()
    assert mlp.n_layers_ == 3
    assert_array_equal(mlp.predict(X), model.predict(X))
