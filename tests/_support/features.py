"""Features as the kernels take them, dense and sparse."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastnet._engine.features import read_only

Array = npt.NDArray[Any]


def arrays_of(X: Any) -> tuple[Array, Any, Any]:
    """Return the three arguments as which kernels take a dense or a CSR matrix.

    Arrays are read-only, as fastnet passes them: kernels are then compiled once for all tests.
    """
    if not sparse.issparse(X):
        return read_only(X), None, None
    indices, indptr = X.indices.astype(np.int32), X.indptr.astype(np.int64)
    return read_only(X.data.reshape(-1, 1)), read_only(indices), read_only(indptr)


def dense_features(X: Array, indices: Any, indptr: Any, n_columns: int) -> Array:
    """Return features as one matrix of float64, whichever way the kernels take them."""
    if indptr is None:
        return X.astype(float)
    shape = (len(indptr) - 1, n_columns)
    return sparse.csr_array((X.ravel(), indices, indptr), shape).toarray().astype(float)


def draw_sparse(n_rows: int, n_columns: int, dtype: Any) -> Any:
    """Draw a CSR matrix as untidy as any.

    Rows are unsorted; each fifth is empty, the first and the last as well; in the others an
    element may be given in several parts, or as a zero.
    """
    rng = np.random.default_rng(n_columns)
    counts = rng.integers(0, 2 * n_columns, n_rows)
    counts[::5] = counts[-1] = 0
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = rng.integers(0, n_columns, indptr[-1])
    data = rng.normal(size=indptr[-1])
    data[::7] = 0
    return sparse.csr_array((data.astype(dtype), indices, indptr), (n_rows, n_columns))


def draw_few(n_rows: int, n_columns: int, dtype: Any) -> Any:
    """Draw a CSR matrix of which 5 % is not zero; each fifth row has no entry."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < 0.06)
    X[::5] = 0
    return sparse.csr_array(X.astype(dtype))
