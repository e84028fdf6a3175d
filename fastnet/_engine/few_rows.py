"""Prediction of a few rows, with all that does not depend on them made ready before."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastnet import kernels

from . import dispatch
from .network import FloatArray, Network

# Up to 24 rows, rows are about as fast as panels or faster, in 28-64-1, 784-128-10,
# 784-512-256-10 and 300-1000-1000-5: one row 3 to 8 times. Up to 128 they are where there is
# little work: 100 rows take 4.3 us of 28-64-1, 98 of 784-128-10, in panels 4.5 and 114; of
# 300-1000-1000-5 they take 1.2 times as long as panels.
_FEW_ROWS = 24
MOST_ROWS = 128
_LITTLE_WORK = 12_000_000  # parameters times rows
# Sparse rows with no more elements, zeros included, are made dense: 3 rows of 15 features
# take 30 instead of 190 us.
_MOST_ELEMENTS = 100_000


def is_few_rows(X: Any) -> bool:
    """Return whether `FewRows` may be the way for X: a plain array, or CSR, of few rows."""
    if type(X) is np.ndarray:
        return X.ndim == 2 and 0 < len(X) <= MOST_ROWS
    return (
        sparse.issparse(X)
        and X.format == "csr"
        and 0 < X.shape[0] <= MOST_ROWS
        and X.shape[0] * X.shape[1] <= _MOST_ELEMENTS
    )


def _dense(X: Any) -> npt.NDArray[Any] | None:
    """Return a CSR matrix as an array, or None if it contradicts itself.

    scipy would write wherever an index says.
    """
    indices, indptr = X.indices, X.indptr
    n = len(indices)
    is_sound = (
        indptr.shape == (X.shape[0] + 1,)
        and indptr[0] == 0
        and (indptr[1:] >= indptr[:-1]).all()
        and indptr[-1] == n == len(X.data)
        and indices.min(initial=0) >= 0
        and indices.max(initial=0) < X.shape[1]
    )
    if not is_sound:
        return None
    # An element that is given in several parts: the full way adds them in its own order.
    # (scipy's `has_canonical_format` would write to the user's matrix.)
    is_new = indices[1:] > indices[:-1]
    is_new[[end - 1 for end in indptr[1:-1] if 0 < end < n]] = True
    return X.toarray() if is_new.all() else None


class FewRows:
    """A network that takes a few rows of features to its outputs.

    Parameters
    ----------
    network : Network
        Its shape.
    params : ndarray
        Its parameters: not copied, so that what is written there is predicted with.
    """

    __slots__ = (
        "_empty",
        "_most_rows",
        "_n_checked",
        "_params",
        "_plan",
        "_widest",
        "dtype",
        "n_features",
        "n_outputs",
    )

    def __init__(self, network: Network, params: FloatArray) -> None:
        self.dtype = network.dtype
        self.n_features = network.sizes[0]
        self.n_outputs = network.sizes[-1]
        self._most_rows = max(_FEW_ROWS, min(MOST_ROWS, _LITTLE_WORK // params.size))
        self._widest = 2 * max(network.sizes[1:])
        self._empty = np.empty(0, network.dtype)
        self._plan = network.plan
        self._params = params
        # As `Network.flat`: of large networks, nobody looks.
        self._n_checked = 0 if network.is_large else params.size

    def predict(self, X: Any, output: int) -> FloatArray | None:
        """Return the outputs for few rows, or None where this is not the way.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features that `is_few_rows` passes.
        output : int
            What to make of the logits, as in `forward`, whose bits these are.

        Returns
        -------
        out : ndarray of shape (n_samples, n_outputs) or None
            None if X is not plainly what the kernel takes, has too many rows, or a number in
            it or in a small network is not finite.
        """
        if X.shape[1] != self.n_features:
            return None
        if type(X) is not np.ndarray and (X := _dense(X)) is None:
            return None
        n_rows = len(X)
        if not (
            n_rows <= self._most_rows
            and X.dtype == self.dtype
            # C-contiguous, aligned, and may be written to, as what the kernel is compiled for.
            and X.flags.carray
        ):
            return None
        n_columns = 2 if output == kernels.PAIR else self.n_outputs
        out = np.empty(n_rows * n_columns, self.dtype)
        n_work = n_rows * self._widest + 2
        work = self._empty if n_work <= kernels.ON_STACK else np.empty(n_work, self.dtype)
        args = (n_rows, X.ravel(), self._plan, self._params, output, self._n_checked, work, out)
        if n_rows * self._params.size < dispatch.MIN_COUNTED_WORK:
            zero = kernels.forward_rows(*args)
        else:
            zero = dispatch.run_serial(kernels.forward_rows, *args)
        return out.reshape(n_rows, n_columns) if zero == 0 else None
