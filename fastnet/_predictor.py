"""Prediction for services: a network made ready once, called with one row at a time or many."""

from typing import Any

import numpy as np
from scipy import sparse

from fastnet import kernels

from ._classifier import SigmoidMLPClassifier
from ._engine import dispatch
from ._engine.few_rows import FewRows, is_few_rows
from ._engine.network import FloatArray, Network
from ._folding import as_one_network
from ._regressor import SigmoidMLPRegressor


class Predictor:
    """A fitted network as a function of rows, for services that answer one request at a time.

    ``predictor(X)`` returns what ``predict_proba(X)`` of a classifier does, or ``predict(X)`` of
    a regressor, with the same bits. Of one row of 28-64-1 it takes a third of the time, a few
    microseconds (docs/after-fit.md).

    A predictor has a copy of the network as it was: training that goes on, or weights that are
    changed, do not reach it. So a service answers with one model until it puts a new predictor
    in the place of the old one, which is a single step to all threads.

    It can be called by any number of threads at a time, after a fork, and in the handler of a
    signal. It can be pickled and copied.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        A fitted model. The steps of a pipeline before the last are of `StandardScaler`,
        `MinMaxScaler` (without ``clip``), `MaxAbsScaler`, `RobustScaler`, `PCA` or
        `TruncatedSVD`. They are folded into the weights of the first layer, so that they take
        no time. What is returned is then equal but for rounding: in float32, with means of a
        thousand times the spread, it was off by 4e-6, and by 2.5e-7 in two steps.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels in the order of the probabilities; of classifiers only.
    dtype : numpy.dtype
        The network's, float32 or float64. Rows of another dtype are converted, and take longer.
    n_features_in_ : int
        Features of a row.

    Raises
    ------
    TypeError
        If `model` is something else, a derived class included, or a step cannot be folded.
    ValueError
        If weights are not finite or do not fit together.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    fastnet.export.to_numba : The same for compiled code of one's own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from fastnet import Predictor, SigmoidMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SigmoidMLPClassifier((4,), solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> predictor = Predictor(model)
    >>> predictor(X[0]).shape
    (3,)
    >>> bool((predictor(X) == model.predict_proba(X)).all())
    True
    >>> p = np.empty(3)
    >>> predictor(X[0], out=p) is p
    True
    """

    __slots__ = (
        "_code", "_few_rows", "_n_outputs", "_named", "_plain", "_row", "_settings", "classes_",
        "dtype", "n_features_in_",
    )  # fmt: skip

    def __init__(self, model: Any) -> None:
        self._named = as_one_network(model)
        # To plain arrays, whose columns have no names.
        self._plain = self._named._snapshot()
        self._plain.__dict__.pop("feature_names_in_", None)
        if isinstance(self._plain, SigmoidMLPClassifier):
            self.classes_ = self._plain.classes_
        network = Network.of(self._plain.coefs_)
        self.dtype = network.dtype
        self.n_features_in_ = network.sizes[0]
        params = network.pack(self._plain.coefs_, self._plain.intercepts_)
        self._few_rows = FewRows(network, params)
        self._code = self._plain._prediction_code()
        self._n_outputs = 2 if self._code == kernels.PAIR else network.sizes[-1]
        self._settings = (network.plan, params, self._code, np.empty(0, self.dtype))
        is_quick = (
            self._code is not None
            and params.size < dispatch.MIN_COUNTED_WORK
            and 2 * max(network.sizes[1:]) + 2 <= kernels.ON_STACK
        )
        # The shape of a row that goes to the kernel at once; no array has the shape None.
        self._row = (self.n_features_in_,) if is_quick else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Predictor, (self._named,)

    def __repr__(self) -> str:
        return f"Predictor({self._named!r})"

    def __call__(self, X: Any, out: FloatArray | None = None) -> FloatArray:
        """Return the probabilities of each class, or the value of each target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_features,) or (n_samples, n_features)
            One row, or several. Of a frame, the names of the columns are checked; all else has
            them in the order of training.
        out : ndarray, optional
            Where to write them: C-contiguous, of the network's dtype, of the shape that is
            returned without it. After an error it is as before.

        Returns
        -------
        p : ndarray of shape (n_outputs,), (n_samples,) or (n_samples, n_outputs)
            Of one row, one-dimensional. Of several rows, what `predict_proba` of the model
            returns, or `predict` of a regressor. It is `out` if that is given.

        Raises
        ------
        ValueError
            If X is what the model refuses, or `out` is not as described.
        """
        # All in one function: each further call of Python would count.
        if (
            type(X) is np.ndarray
            and X.shape == self._row
            and X.dtype == self.dtype
            # C-contiguous, aligned, and may be written to, as what the kernel is compiled for.
            and X.flags.carray
        ):
            if out is None:
                out = np.empty(self._n_outputs, self.dtype)
            elif not self._fits(out, (self._n_outputs,)):
                raise self._does_not_fit((self._n_outputs,))
            plan, params, code, work = self._settings
            if kernels.forward_rows(1, X, plan, params, code, 0, work, out) == 0:
                return out
        return self._predict_any(X, out)

    def _predict_any(self, X: Any, out: FloatArray | None) -> FloatArray:
        is_row = (X.ndim if hasattr(X, "ndim") else np.ndim(X)) == 1
        if is_row:
            x = np.asarray(X)
            is_plain = x.dtype == self.dtype and x.flags.carray
            if x.shape == self._row and x.dtype.kind in "fiub" and not is_plain:
                with np.errstate(over="ignore"):
                    x = x.astype(self.dtype)
                return self(x, out)
            X = x[np.newaxis] if isinstance(X, np.ndarray) else [X]
        p = self._predict_rows(X)
        if is_row:
            p = p.reshape(-1)
        if out is None:
            return p
        if not self._fits(out, p.shape):
            raise self._does_not_fit(p.shape)
        out[...] = p
        return out

    def _predict_rows(self, X: Any) -> FloatArray:
        """Return what the model does of a matrix."""
        is_regressor = isinstance(self._plain, SigmoidMLPRegressor)
        if self._code is not None and is_few_rows(X):
            p = self._few_rows.predict(X, self._code)
            if p is not None:
                return p.ravel() if is_regressor and p.shape[1] == 1 else p
        is_plain = isinstance(X, np.ndarray | list | tuple) or sparse.issparse(X)
        model = self._plain if is_plain else self._named
        return model.predict(X) if is_regressor else model.predict_proba(X)

    def _fits(self, out: Any, shape: tuple[int, ...]) -> bool:
        return (
            type(out) is np.ndarray
            and out.shape == shape
            and out.dtype == self.dtype
            and out.flags.carray
        )

    def _does_not_fit(self, shape: tuple[int, ...]) -> ValueError:
        return ValueError(
            f"out must be a C-contiguous array of shape {shape} and dtype {self.dtype} that can be"
            " written to."
        )
