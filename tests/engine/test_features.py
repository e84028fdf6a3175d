"""Features on their way to the kernels, which trust them: layout, types and indices."""

import warnings
from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from fastnet import SigmoidMLPClassifier
from fastnet._engine import dispatch
from fastnet._engine.features import Features, check_indices
from fastnet._engine.trainer import Trainer

from .._support.features import dense_features, draw_sparse
from ..reference import DTYPES

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def as_given(X: Any) -> list[Any]:
    """Return what a user can see of a sparse matrix."""
    return [array.copy() for array in (X.data, X.indices, X.indptr)]


@dtypes
def test_a_dense_matrix_is_taken_as_it_is(dtype: Any) -> None:
    X = np.ones((4, 3), dtype)
    features = Features.of(X)
    assert np.shares_memory(features.X, X)
    assert features.n_samples == 4
    assert features.indices is features.indptr is None


@dtypes
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_an_untidy_sparse_matrix_is_put_in_order(dtype: Any, index_dtype: Any) -> None:
    X = draw_sparse(40, 7, dtype)
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    before = as_given(X)
    features = Features.of(X)
    for array, copy in zip(as_given(X), before, strict=True):
        assert_array_equal(array, copy)
        assert array.dtype == copy.dtype
    assert features.n_samples == 40
    for first, last in zip(features.indptr, features.indptr[1:], strict=False):
        assert np.all(np.diff(features.indices[first:last]) > 0)
    # Parts of an element may be added in another order.
    eps = float(np.finfo(dtype).eps)
    assert_allclose(dense_features(*features, 7), X.toarray(), atol=20 * eps)


@dtypes
def test_a_tidy_sparse_matrix_is_not_copied(dtype: Any) -> None:
    X = sparse.csr_array(np.eye(5, dtype=dtype))
    assert np.shares_memory(Features.of(X).X, X.data)


@dtypes
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_one_type_to_the_compiler(dtype: Any, kind: Any, index_dtype: Any) -> None:
    """Else a kernel would be compiled once more for arrays that may not be written to."""
    X = kind(np.eye(3, dtype=dtype))
    types = [numba.typeof(array) for array in Features.of(X)]
    if sparse.issparse(X):
        X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
        for array in (X.data, X.indices, X.indptr):
            array.flags.writeable = False
    else:
        X.flags.writeable = False
    assert [numba.typeof(array) for array in Features.of(X)] == types


@pytest.mark.parametrize(
    ("indices", "indptr"),
    [([0, 3], [0, 1, 2]), ([0, -1], [0, 1, 2]), ([0, 1], [0, 2, 1]), ([0, 1], [0, 1, 3])],
    ids=["index too large", "negative index", "pointers go down", "pointers beyond the data"],
)
def test_a_matrix_that_contradicts_itself_is_refused(indices: Any, indptr: Any) -> None:
    X = sparse.csr_array((2, 3))
    X.data = np.ones(2)
    X.indices, X.indptr = np.array(indices, np.int32), np.array(indptr, np.int32)
    with pytest.raises(ValueError, match=r"indices must|index values|indptr must|index pointer"):
        check_indices(X)


@pytest.mark.parametrize("batch_size", [1, 50])
@pytest.mark.parametrize("kind", ["C", "F", "every other", "sparse"])
def test_kernels_are_given_contiguous_arrays(
    kind: str, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def recording(function: Any) -> Any:
        def recorded(kernel: Any, n_workers: int, work: int, args: Any, **options: Any) -> Any:
            given.extend(arg for arg in args if isinstance(arg, np.ndarray))
            return function(kernel, n_workers, work, args, **options)

        return recorded

    monkeypatch.setattr(dispatch, "run", recording(dispatch.run))
    epochs = Trainer.epochs

    def recorded_epochs(trainer: Trainer, orders: Any) -> list[float]:
        data = trainer.data
        samples = [array for array in data.features if array is not None]
        given.extend([*samples, data.Y, data.weights, orders, trainer.params])
        return epochs(trainer, orders)

    monkeypatch.setattr(Trainer, "epochs", recorded_epochs)
    # Noise: whether it learnt anything is looked at on some of the rows.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6000, 3)), rng.integers(0, 3, 6000)
    matrix = {
        "C": X[:3000],
        "F": np.asfortranarray(X[:3000]),
        "every other": X[::2],
        "sparse": sparse.csr_matrix(X[:3000])[::1],
    }[kind]
    model = SigmoidMLPClassifier((4,), batch_size=batch_size, max_iter=1, early_stopping=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(matrix, y[::2], np.ones(6000)[::2])
    model.predict(matrix)
    model.loss_gradients(matrix, y[::2])
    model.sample_gradients(matrix, y[::2])
    model.input_gradients(matrix)
    arrays = [array for array in given if isinstance(array, np.ndarray)]
    assert arrays
    assert [array.shape for array in arrays if not array.flags.c_contiguous] == []
