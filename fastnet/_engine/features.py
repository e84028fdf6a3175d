"""Features as the kernels take them, dense or sparse."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .network import FloatArray

# Of a sparse matrix: the kernels take indices of 32 bits.
_MOST_COLUMNS = 2**31 - 1


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that cannot be written to.

    One compiled kernel then serves arrays that may be written to and ones that may not.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array, or its copy if it starts where a number of its type cannot."""
    return array if array.flags.aligned else array.copy()


def check_indices(X: Any) -> None:
    """Check that a sparse matrix, of any format, does not contradict itself.

    Kernels trust what it says, and so does scipy, which converts and takes rows without
    looking. Anything else passes.

    Raises
    ------
    ValueError
        If it does.
    """
    if sparse.issparse(X):
        _CHECKS[X.format](X)


# Most of these make a matrix of the same arrays: what looks at them may write to attributes,
# and this matrix is the user's.


def _check_compressed(X: Any) -> None:
    X = _COMPRESSED[X.format]((X.data, X.indices, X.indptr), shape=X.shape)
    X.check_format(full_check=True)
    # That looks at nothing where the last row ends at 0.
    if np.diff(X.indptr).min(initial=0) < 0:
        raise ValueError("indptr must be a non-decreasing sequence")


def _check_lists(X: Any) -> None:
    if [len(row) for row in X.rows] != [len(row) for row in X.data]:
        raise ValueError("rows must have as many column indices as data")
    _check_compressed(X.tocsr())


_COMPRESSED = {"csr": sparse.csr_array, "csc": sparse.csc_array, "bsr": sparse.bsr_array}
_CHECKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_COMPRESSED, _check_compressed),
    "coo": lambda X: sparse.coo_array((X.data, X.coords), shape=X.shape),
    "dia": lambda X: sparse.dia_array((X.data, X.offsets), shape=X.shape),
    "dok": lambda X: X.tocoo(),
    "lil": _check_lists,
}


class Features(NamedTuple):
    """The three arguments in which the kernels take features (`kernels/panel.py`).

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features) or (n_nonzero, 1)
        A dense matrix, or the data of a sparse one.
    indices : ndarray of shape (n_nonzero,) or None
        The columns of a sparse matrix's data, int32.
    indptr : ndarray of shape (n_samples + 1,) or None
        Where a sparse matrix's rows start, int64.
    """

    X: FloatArray
    indices: npt.NDArray[np.int32] | None
    indptr: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return the arguments for a matrix: C-contiguous, or CSR that `check_indices` passed.

        Nothing is copied but row pointers of 32 and column indices of 64 bits, arrays that
        are not aligned, and a sparse matrix with entries that are not in order or in several
        parts.
        """
        if not sparse.issparse(X):
            return cls(read_only(aligned(X)), None, None)
        if X.shape[1] > _MOST_COLUMNS:
            raise ValueError(f"Sparse X has {X.shape[1]} columns, more than {_MOST_COLUMNS}.")
        # The user's matrix is not to be written to.
        X = sparse.csr_array((X.data, X.indices, X.indptr), shape=X.shape)
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        data = np.ascontiguousarray(X.data).reshape(-1, 1)
        indices = np.ascontiguousarray(X.indices, np.int32)
        indptr = np.ascontiguousarray(X.indptr, np.int64)
        arrays = (read_only(aligned(array)) for array in (data, indices, indptr))
        return cls(*arrays)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.X) if self.indptr is None else len(self.indptr) - 1
