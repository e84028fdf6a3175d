"""Sparse features: the model of dense ones, nothing of the user's changed, never made dense.

Where an eighth of them or more are not zero, training gives the same bits.
"""

import re
import subprocess
import sys
import tracemalloc
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine.network import Network

from .._support.parity import data

# Most tests ask for a number of epochs and get it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.thorough,
]

CONTAINERS = [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix]
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "input_gradients")
CSR = sparse.csr_array
# scipy's words, old and new, and ours.
REFUSED = "indices must be|index values must be|[Ii]ndex pointer|indptr must be"

indices = pytest.mark.parametrize("index", [np.int32, np.int64])
containers = pytest.mark.parametrize("container", CONTAINERS)


def thin(kind: str = "multiclass", dtype: Any = np.float64, least: float = 1.0) -> tuple[Any, Any]:
    """Return features of which most are zero, rows and columns of zeros among them."""
    X, y = data(kind, np.float64)
    X = np.where(np.abs(X) > least, 3 * X, 0).astype(dtype)
    X[[0, 7, -1]] = 0
    X[:, 4] = 0
    return X, y


def indexed_by(index: Any, X: Any) -> Any:
    """Give a matrix indices of a dtype."""
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def unsorted(X: Any) -> Any:
    """Return the matrix with the entries of each row backwards."""
    rows = np.split(np.arange(X.nnz), X.indptr[1:-1])
    order = np.concatenate([row[::-1] for row in rows])
    return type(X)((X.data[order], X.indices[order], X.indptr), shape=X.shape)


def duplicated(X: Any) -> Any:
    """Return the matrix with every entry in two parts."""
    part = (0.3 * X.data).astype(X.dtype)
    values = np.column_stack([part, X.data - part]).ravel()
    return type(X)((values, np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)


def with_zeros(X: Any) -> Any:
    """Return the matrix with every third entry a zero that is stored."""
    X.data[::3] = 0
    return X


def assert_same_bits(a: Any, b: Any) -> None:
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_


def assert_same_answers(model: Any, X: Any, y: Any, dense: Any) -> None:
    """Assert that every method says the same of a sparse and a dense matrix."""
    for method in METHODS:
        assert_array_equal(getattr(model, method)(X), getattr(model, method)(dense))
    first, *layers = model.activations(X)
    expected_first, *expected = model.activations(dense)
    assert_array_equal(first.toarray(), expected_first)
    expected += [*model.sample_gradients(dense, y), *model.loss_gradients(dense, y)[1:]]
    layers += [*model.sample_gradients(X, y), *model.loss_gradients(X, y)[1:]]
    for own, other in zip(layers, expected, strict=True):
        for one, another in zip(own, other, strict=True):
            assert_array_equal(one, another)
    assert model.loss_gradients(X, y)[0] == model.loss_gradients(dense, y)[0]


@containers
@indices
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_every_format_gives_the_bits_of_dense(container, index, dtype, solver):
    dense, y = thin(dtype=dtype)
    X = indexed_by(index, container(dense))
    model = SigmoidMLPClassifier((6,), solver=solver, max_iter=3, random_state=0)
    expected = clone(model).fit(dense, y)
    assert_same_bits(model.fit(X, y), expected)
    assert model.coefs_[0].dtype == (np.float32 if dtype is np.float32 else np.float64)
    assert_same_answers(model, X, y, dense)


@pytest.mark.parametrize("way", [CSR, sparse.csc_matrix, unsorted, duplicated, with_zeros])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_of_very_few_entries_training_is_the_same_to_rounding(way, dtype, rtol, solver):
    """And what the same model then says of them has the same bits."""
    X, y = thin(dtype=dtype, least=2.0)
    X = way(CSR(X))
    dense = X.toarray()
    assert 0.01 < np.mean(dense != 0) < 0.06
    model = SigmoidMLPClassifier((6,), solver=solver, max_iter=5, random_state=0)
    expected = clone(model).fit(dense, y)
    model.fit(X, y)
    assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=rtol)
    for one, other in zip(model.coefs_, expected.coefs_, strict=True):
        assert_allclose(one, other, rtol=0, atol=rtol * np.abs(other).max())
    for method in METHODS:
        assert_array_equal(getattr(model, method)(X), getattr(model, method)(dense))


@pytest.mark.parametrize("way", [unsorted, duplicated, with_zeros])
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_every_way_to_write_them_does(way, kind, dtype, batch_size):
    """Of rows, and of columns; alone in a batch, in a few and in panels."""
    X, y = thin(kind, dtype)
    X = way(CSR(X))
    dense = X.toarray()
    model = SigmoidMLPClassifier((6,), batch_size=batch_size, max_iter=2, random_state=0)
    expected = clone(model).fit(dense, y)
    for given in (X, sparse.csc_array((X.data, X.indices, X.indptr), shape=X.shape[::-1]).T):
        assert_same_bits(clone(model).fit(given, y), expected)
    assert_same_answers(expected, X, y, dense)


@containers
@indices
def test_parts_of_them_give_the_bits_of_dense(container, index):
    dense, y = thin()
    both = [SigmoidMLPClassifier((6,), random_state=0) for _ in range(2)]
    for part in (slice(0, 90), slice(90, 91), slice(91, 230)):
        for model, X in zip(both, (dense[part], container(dense[part])), strict=True):
            X = X if isinstance(X, np.ndarray) else indexed_by(index, X)
            model.partial_fit(X, y[part], np.linspace(0, 1, 230)[part], classes=np.arange(4))
    assert_same_bits(*both)


@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"solver": "rprop"}])
def test_they_may_be_split_and_in_one_batch(parameters):
    dense, y = thin()
    model = SigmoidMLPClassifier((6,), max_iter=5, random_state=0, **parameters)
    expected = clone(model).fit(dense, y)
    assert_same_bits(model.fit(CSR(dense), y), expected)
    assert model.validation_scores_ == expected.validation_scores_


def snapshot(X: Any) -> list[Any]:
    """Return all that makes up a matrix, in copies."""
    arrays = (X.data, X.indices, X.indptr)
    kinds = [(id(a), a.dtype, a.flags.writeable) for a in arrays]
    return [a.copy() for a in arrays] + [kinds, X.has_sorted_indices, X.has_canonical_format]


@containers
@indices
@pytest.mark.parametrize("way", [unsorted, duplicated, with_zeros])
@pytest.mark.parametrize("read_only", [False, True])
def test_the_users_matrix_is_left_alone(container, index, way, read_only):
    dense, y = thin()
    X = indexed_by(index, way(container(dense)))
    if read_only:
        for array in (X.data, X.indices, X.indptr):
            array.flags.writeable = False
    before = snapshot(X)
    model = SigmoidMLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    model.fit(X, y, X_val=X, y_val=y).partial_fit(X, y)
    assert_same_answers(model, X, y, dense=X.toarray())
    for one, other in zip(before, snapshot(X), strict=True):
        assert np.all(one == other)


def malformed(fault: str, index: Any = np.int32) -> Any:
    """Return a matrix of 60 x 9 that contradicts itself."""
    X = indexed_by(index, CSR(thin()[0][:60]))
    if fault == "index too large":
        X.indices[5] = 9
    elif fault == "index far too large":
        X.indices[5] = np.iinfo(np.int32).max
    elif fault == "index negative":
        X.indices[5] = -1
    elif fault == "rows go backwards":
        X.indptr[9:11] = X.indptr[10], X.indptr[9] - 5
    elif fault == "a row beyond the end":
        X.indptr[9] = 10**8
    elif fault == "the last row ends at 0":
        X.indptr[-1] = 0
    elif fault == "all end beyond the data":
        X.indptr[-1] = len(X.data) + 1
    elif fault == "the first row starts late":
        X.indptr[0] = 1
    return X


FAULTS = [
    "index too large", "index far too large", "index negative", "rows go backwards",
    "a row beyond the end", "the last row ends at 0", "all end beyond the data",
    "the first row starts late",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@indices
def test_a_matrix_that_contradicts_itself_reaches_no_kernel(fault, index, monkeypatch):
    X, y = malformed(fault, index), np.arange(60) % 4
    good = malformed("none")
    model = SigmoidMLPClassifier((4,), max_iter=1, random_state=0).fit(good, y)
    before = dict(vars(model))

    def launched(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a kernel was launched")

    monkeypatch.setattr("fastnet._engine.dispatch.run", launched)
    monkeypatch.setattr("fastnet._engine.dispatch.run_serial", launched)
    calls = [partial(getattr(model, method), X) for method in (*METHODS, "activations")]
    calls += [lambda: model.sample_gradients(X, y), lambda: model.loss_gradients(X, y)]
    calls += [lambda: model.fit(X, y), lambda: model.partial_fit(X, y)]
    calls += [lambda: model.fit(good, y, X_val=X, y_val=y)]
    for call in calls:
        with pytest.raises(ValueError, match=REFUSED):
            call()
    assert vars(model) == before


CRASH = """
import sys
import numpy as np
from scipy import sparse
from fastnet import SigmoidMLPClassifier

X = sparse.csr_array(np.random.default_rng(0).normal(size=(60, 9)) > 0.3, dtype=float)
y = np.arange(60) % 2
if sys.argv[1] == "split":
    # Each row but the last would have a million entries.
    X.indptr[:-1] = np.arange(60) * 10**6
else:
    X = X.tocsc()
    X.indices[5] = 10**8
try:
    SigmoidMLPClassifier((4,), early_stopping=True, random_state=3).fit(X, y)
except ValueError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("way", ["split", "columns"])
def test_it_is_refused_before_scipy_follows_it(way):
    """Taking rows of it, or converting it, would end the process."""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, way], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-300:]}"
    assert re.match(f"refused: .*({REFUSED})", done.stdout)


def test_no_more_than_a_block_of_rows_is_dense():
    """2,000 x 50,000 of which one in a thousand is not zero: dense it would be 800 MB."""
    rng = np.random.default_rng(0)
    indices = np.arange(50) * 1000 + rng.integers(0, 1000, (2000, 50))
    arrays = rng.normal(size=100_000), indices.ravel(), np.arange(0, 100_001, 50)
    X = CSR(arrays, shape=(2000, 50_000))
    y = rng.integers(0, 2, 2000)
    # On several threads, when to compile depends on how busy the machine is.
    model = SigmoidMLPClassifier((3,), batch_size=50, max_iter=2, n_jobs=1, random_state=0)

    def work() -> None:
        model.fit(X, y)
        model.predict_proba(X)
        model.loss_gradients(X[:50], y[:50])

    work()  # compiles
    network = Network((50_000, 3, 1), True, np.dtype(np.float64))
    panel = int(network.plan[0, kernels.plan.SIZE]) * 8
    parameters = network.n_parameters * 8
    # Four panels of 16 rows hold a mini-batch, and one is to predict with; then there are the
    # state of the solver, a gradient, checkpoints.
    most = 5 * panel + 10 * parameters + 8 * X.data.nbytes
    assert most < 0.07 * X.shape[0] * X.shape[1] * 8
    tracemalloc.start()
    try:
        work()
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
