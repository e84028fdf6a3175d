"""Features as the kernels take them, dense or sparse."""

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ._network import FloatArray

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
    """Check that a sparse matrix does not contradict itself; pass anything else.

    Kernels trust what it says, and so does scipy, which converts and takes rows without
    looking.

    Raises
    ------
    ValueError
        If it does.
    """
    if not (sparse.issparse(X) and X.format in ("csr", "csc")):
        return
    kind = sparse.csr_array if X.format == "csr" else sparse.csc_array
    # The check may write to the attributes of a matrix, and this one is the user's.
    X = kind((X.data, X.indices, X.indptr), shape=X.shape)
    X.check_format(full_check=True)
    # That looks at nothing where the last row ends at 0.
    if np.diff(X.indptr).min(initial=0) < 0:
        raise ValueError("indptr must be a non-decreasing sequence")


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
