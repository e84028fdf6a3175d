"""scikit-learn's callbacks: a fit is a task, and each of its epochs another."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ._attributes import fitted_attributes
from ._engine.training import Fit
from ._sklearn import safe_indexing


class EpochTasks:
    """The tasks of one fit, as its callbacks are told of them; without callbacks, nothing.

    Parameters
    ----------
    estimator : SigmoidMLPClassifier or SigmoidMLPRegressor
        What is fitted. The method that creates this must be decorated by `fit_context`.
    X : array-like of shape (n_samples, n_features)
        Features as the user gave them: with their names, `predict` will not miss them.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Labels or targets.
    sample_weight : array-like of shape (n_samples,) or None
        Weights as the user gave them.
    max_iter : int
        Most epochs; there may be fewer.
    rows : ndarray of shape (n_train,), optional
        Which samples are trained on; by default all.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        max_iter: int,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._fit: Any = None
        self._epoch: Any = None
        if not getattr(estimator, "_skl_callbacks", None):
            return

        def taken(array: Any) -> Any:
            return array if rows is None else safe_indexing(array, rows)

        # Where a callback asks for them, scikit-learn calls what is callable.
        self._told = {"estimator": estimator, "X": cache(lambda: taken(X))}
        self._told["y"] = cache(lambda: taken(y))
        if sample_weight is not None:
            self._told["metadata"] = cache(lambda: {"sample_weight": taken(sample_weight)})
        self._fit = estimator._init_callback_context(max_subtasks=max_iter)
        self._fit.call_on_fit_task_begin(**self._told)

    @property
    def are_watched(self) -> bool:
        """Whether there are callbacks."""
        return self._fit is not None

    def epoch_begins(self) -> None:
        """Report that an epoch begins, unless one has."""
        if self._fit is not None and self._epoch is None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._told)

    def epoch_ends(self, fit: Callable[[], Fit]) -> bool:
        """Report that the epoch is complete; return whether a callback asks to stop.

        Parameters
        ----------
        fit : callable
            Returns what training comes to if it ends here. Called only where a callback wants
            the estimator as it now is.
        """
        if self._fit is None:
            return False
        # L-BFGS may, at the limit of rounding, end an iteration without an evaluation.
        self.epoch_begins()
        # First, so that Ctrl-C in a callback does not end the task a second time.
        epoch, self._epoch = self._epoch, None

        def attributes() -> dict[str, Any]:
            # In arrays that will not change.
            return copy.deepcopy(fitted_attributes(fit()))

        return bool(epoch.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes))

    def fit_ends(self) -> None:
        """Report that the fit is complete, its attributes set."""
        if self._fit is None:
            return
        if self._epoch is not None:
            # An epoch that was not completed has nothing to show.
            self._epoch.call_on_fit_task_end(**self._told)
            self._epoch = None
        self._fit.call_on_fit_task_end(**self._told, reconstruction_attributes={})
