"""Arrays of every type and layout: the bits of their plain copy, and no byte of them changed."""

import copy
import mmap
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from fastnet import SigmoidMLPClassifier
from fastnet._engine.features import Features
from fastnet._inputs import known_samples

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:A column-vector y was passed"),
]

# Whole numbers from 0 to 9: the same in every type.
VALUES = np.random.default_rng(0).integers(0, 10, (30, 4))
y = np.arange(30) % 3
METHODS = (
    "predict", "predict_proba", "predict_log_proba", "decision_function", "activations",
    "input_gradients",
)  # fmt: skip

TYPES = [np.dtype(code) for code in "?bBhHiIlLqQefdg"]


@st.composite
def layouts(draw: Any, values: Any = VALUES) -> tuple[Any, bytearray]:
    """Return numbers somewhere in a buffer, and the buffer."""
    dtype = draw(st.sampled_from(TYPES)).newbyteorder(draw(st.sampled_from("=S")))
    offset = draw(st.integers(0, 17))
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in values.shape]
    shape = [n * abs(step) for n, step in zip(values.shape, steps, strict=True)]
    raw = bytearray(offset + int(np.prod(shape)) * dtype.itemsize)
    order = draw(st.sampled_from("CF"))
    whole: Any = np.ndarray(shape, dtype, raw, offset, order=order)
    array = whole[tuple(slice(None, None, step) for step in steps)]
    array[...] = values
    if draw(st.booleans()):
        array.flags.writeable = False
    return array, raw


def fitted(X: Any, y: Any = y, weights: Any = None, **more: Any) -> Any:
    model = SigmoidMLPClassifier((3,), max_iter=2, batch_size=20, random_state=0)
    return model.fit(X, y, weights, **more)


def assert_same_bits(model: Any, expected: Any) -> None:
    for a, b in zip(
        model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True
    ):
        assert_array_equal(a, b, strict=True)
    assert model.loss_curve_ == expected.loss_curve_


def trained_as(X: Any) -> Any:
    """Return a plain copy, of the type to which scikit-learn converts for training."""
    return np.array(X, np.float32 if X.dtype == np.float32 else np.float64, order="C", subok=False)


@pytest.fixture(scope="module")
def models():
    return {dtype: fitted(VALUES.astype(dtype)) for dtype in (np.float32, np.float64)}


@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
@settings(max_examples=50, deadline=None)
@given(layout=layouts())
def test_features(layout, models):
    X, raw = layout
    before = bytes(raw)
    assert_same_bits(fitted(X), fitted(trained_as(X)))
    assert_same_bits(
        fitted(VALUES.astype(float), X_val=X, y_val=y),
        fitted(VALUES.astype(float), X_val=np.array(X, float), y_val=y),
    )
    for dtype, model in models.items():
        plain = np.array(X, dtype, order="C")
        for method in METHODS:
            ours, theirs = getattr(model, method)(X), getattr(model, method)(plain)
            for a, b in zip(ours, theirs, strict=True):
                assert_array_equal(a, b, strict=True)
        again, expected = copy.deepcopy(model), copy.deepcopy(model)
        assert_same_bits(again.partial_fit(X, y), expected.partial_fit(plain, y))
        gradients, expected = (model.sample_gradients(Z, y)[0] for Z in (X, plain))
        assert_array_equal(gradients[0], expected[0], strict=True)
        assert model.loss_gradients(X, y)[0] == model.loss_gradients(plain, y)[0]
    assert raw == before


@settings(max_examples=30, deadline=None)
@given(labels=layouts(y), weights=layouts(y + 1), indicators=layouts(np.eye(3, dtype=int)[y]))
def test_labels_and_weights(labels, weights, indicators):
    X = VALUES.astype(float)
    before = [bytes(raw) for _, raw in (labels, weights, indicators)]
    for (given_labels, _), (given_weights, _) in ((labels, weights), (indicators, weights)):
        plain = np.array(given_labels, float if given_labels.dtype.kind == "f" else None)
        plain = plain.astype(plain.dtype.newbyteorder("="))
        model = fitted(X, given_labels, given_weights)
        expected = fitted(X, plain, np.array(given_weights, float))
        assert_same_bits(model, expected)
        assert_array_equal(model.predict(X), expected.predict(X))
        if plain.ndim == 1:
            # Accuracy of indicators takes the types that scipy has sparse matrices of.
            assert model.score(X, given_labels) == expected.score(X, plain)
        ours, theirs = (
            model.loss_gradients(X, *given)[0]
            for given in ((given_labels, given_weights), (plain, np.array(given_weights, float)))
        )
        assert ours == theirs
    assert [raw for _, raw in (labels, weights, indicators)] == before


@pytest.mark.parametrize("order", ["<", ">"])
def test_indicators_of_float16(order):
    """Of which the oldest scipy makes no sparse matrix, in either order of bytes."""
    indicators = np.eye(3)[y]
    model = fitted(VALUES.astype(float), indicators.astype(f"{order}f2"))
    assert_same_bits(model, fitted(VALUES.astype(float), indicators))


@settings(max_examples=30, deadline=None)
@given(coefs=layouts(VALUES[:4, :3]), biases=layouts(VALUES[0, :3]), dtype=st.sampled_from("fd"))
def test_initial_weights(coefs, biases, dtype):
    X = VALUES.astype(dtype)
    before = [bytes(raw) for _, raw in (coefs, biases)]
    weights = [coefs[0], np.ones((3, 3))], [biases[0], np.zeros(3)]
    plain = [[np.array(array, float) for array in arrays] for arrays in weights]
    models = [fitted(X, coefs_init=c, intercepts_init=b) for c, b in (weights, plain)]
    assert_same_bits(*models)
    models = [SigmoidMLPClassifier.from_weights(*both, [0, 1, 2]) for both in (weights, plain)]
    probabilities = [model.predict_proba(VALUES) for model in models]
    assert_array_equal(*probabilities, strict=True)
    assert [raw for _, raw in (coefs, biases)] == before


class ArrayLike:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.array, dtype)


class Subclass(np.ndarray):
    """Of no other behaviour."""


def mapped(array: Any, tmp_path: Any) -> Any:
    path = tmp_path / "array"
    array.tofile(path)
    return np.memmap(path, array.dtype, "r", shape=array.shape)


def of_shared_memory(array: Any) -> Any:
    memory = mmap.mmap(-1, array.nbytes)
    shared = np.frombuffer(memory, array.dtype).reshape(array.shape)
    shared[...] = array
    return shared


CONTAINERS = {
    "array-like": ArrayLike,
    "subclass": lambda array: array.view(Subclass),
    "masked, which is not looked at": lambda array: np.ma.masked_array(array, array > 5),
    "list": lambda array: array.tolist(),
    "tuple of tuples": lambda array: tuple(map(tuple, array)),
    "list of arrays": list,
    "objects": lambda array: array.astype(object),
    "shared memory": of_shared_memory,
    "transposed twice": lambda array: np.ascontiguousarray(array.T).T,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name, models):
    X = VALUES.astype(float)
    given_features = CONTAINERS[name](X)
    before = copy.deepcopy(given_features)
    assert_same_bits(fitted(given_features), fitted(X))
    for method in METHODS[:-2]:
        assert_array_equal(
            getattr(models[np.float64], method)(given_features),
            getattr(models[np.float64], method)(X),
        )
    if name != "array-like":
        assert_array_equal(np.asarray(given_features), np.asarray(before))


def test_arrays_on_disk(tmp_path, models):
    for dtype in (np.float32, np.float64):
        X = VALUES.astype(dtype)
        on_disk = mapped(X, tmp_path)
        assert_same_bits(fitted(on_disk), models[dtype])
        assert_array_equal(models[dtype].predict_proba(on_disk), models[dtype].predict_proba(X))
        assert (tmp_path / "array").read_bytes() == X.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_and_columns_that_are_one(dtype, models):
    """Broadcast, so that they have strides of zero."""
    row = np.broadcast_to(VALUES[0].astype(dtype), (30, 4))
    column = np.broadcast_to(VALUES[:, :1].astype(dtype), (30, 4))
    number = np.broadcast_to(dtype(3), (30, 4))
    for X in (row, column, number):
        assert_same_bits(fitted(X), fitted(X.copy()))
        for method in ("predict_proba", "input_gradients"):
            ours, theirs = (getattr(models[dtype], method)(Z) for Z in (X, X.copy()))
            assert_array_equal(ours, theirs, strict=True)
    weights = np.broadcast_to(2.0, 30)
    assert_same_bits(fitted(VALUES, y, weights), fitted(VALUES, y, np.full(30, 2.0)))


def unaligned(array: Any) -> Any:
    shifted = np.frombuffer(bytes(1) + array.tobytes(), array.dtype, offset=1)
    return shifted.reshape(array.shape)


def test_kernels_are_given_aligned_arrays(models):
    """For others they would be compiled once more, and trust that a vector starts where it can."""
    X, weights = VALUES.astype(float), np.ones(30)
    model = models[np.float64]
    samples = known_samples(model, unaligned(X), y, unaligned(weights), model._network())
    arrays = [Features.of(samples.X).X, samples.Y, samples.weights]
    arrays += Features.of(shifted_sparse(X))
    arrays += [model._network().pack([unaligned(coef) for coef in model.coefs_], model.intercepts_)]
    assert all(array.flags.aligned for array in arrays)


def shifted_sparse(X: Any) -> Any:
    """Return a sparse matrix of which no array is aligned."""
    X = sparse.csr_array(X)
    shifted = sparse.csr_array(X.shape, dtype=X.dtype)
    shifted.data, shifted.indices, shifted.indptr = map(unaligned, (X.data, X.indices, X.indptr))
    return shifted


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_arrays_that_are_not_aligned(dtype, models):
    X = sparse.csr_array(VALUES.astype(dtype))
    shifted = shifted_sparse(X)
    assert not shifted.data.flags.aligned
    assert_same_bits(fitted(shifted), fitted(X))
    assert_array_equal(models[dtype].predict_proba(shifted), models[dtype].predict_proba(X))


def test_frames(models):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X = pandas.DataFrame(VALUES, columns=list("abcd"))
    frames = {
        "integers": X,
        "nullable integers": X.astype("Int64"),
        "nullable numbers": X.astype("Float64"),
        "nullable bytes": X.astype("UInt8"),
        "mixed": X.astype({"a": "float32", "b": "int8", "c": "Float64"}),
        "sparse columns": X.astype(pandas.SparseDtype("float64", 0.0)),
        "categories": X.astype("category"),
        "objects": X.astype(object),
        "of a slice": pandas.concat([X, X])[::2].sort_index(),
    }
    for name, frame in frames.items():
        before = frame.copy(deep=True)
        model = fitted(frame)
        assert_same_bits(model, fitted(np.asarray(frame, float)))
        expected = models[np.float64].predict_proba(np.asarray(frame, float))
        if name != "of a slice":
            assert_array_equal(model.predict_proba(frame), expected)
        pandas.testing.assert_frame_equal(frame, before)
    for labels in (
        pandas.Series(y), pandas.array(y, "Int64"), pandas.Categorical(y), pandas.Index(y),
        pandas.Series(y, index=range(60, 90)), pandas.DataFrame({"y": y}),
    ):  # fmt: skip
        assert_same_bits(fitted(X, labels), fitted(X, y))
    weights = pandas.Series(y + 1.0, index=range(60, 90))
    assert_same_bits(fitted(X, y, weights), fitted(X, y, y + 1.0))


def test_frames_of_polars(models):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X = polars.DataFrame(dict(zip("abcd", VALUES.T, strict=True)))
    for frame in (X, X.cast(polars.UInt8), X.cast({"a": polars.Int16, "b": polars.Float32})):
        model = fitted(frame, polars.Series(y), polars.Series(y + 1.0))
        assert_same_bits(model, fitted(VALUES, y, y + 1.0))
        assert_array_equal(model.predict_proba(frame), model.predict_proba(X))
