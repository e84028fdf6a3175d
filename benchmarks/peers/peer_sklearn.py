"""scikit-learn's MLPClassifier: an epoch is one call of ``partial_fit``, validation apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from ..workloads import LEARNING_RATE, FloatArray, Problem, Weights, Workload
from . import SEED

NAME = "scikit-learn"
# In the first epoch; `partial_fit` starts every permutation afresh.
SAME_SHUFFLE = True


def available() -> str | None:
    """Return None: fastnet requires it."""
    return None


def unsupported(workload: Workload) -> str | None:
    """Return why it cannot do this work, or None where it can."""
    if workload.loss != "log_loss":
        return f"MLPClassifier has no {workload.loss}"
    return None


class _Trainer(MLPClassifier):
    """Validates labels, but takes targets as they are.

    Validation happens once in a fit of many epochs; in ``partial_fit``, which is one, it
    would be up to a third of the time.
    """

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        if y.ndim == 1:
            return super()._validate_input(X, y, incremental, reset)
        return X, y


def _model(problem: Problem, shuffle: bool) -> _Trainer:
    workload = problem.workload
    random_state = np.random.RandomState(SEED)
    model = _Trainer(
        workload.sizes[1:-1],
        activation="logistic",
        solver="sgd",
        alpha=0,
        batch_size=workload.batch_size,
        learning_rate_init=LEARNING_RATE,
        momentum=0,
        # True would cost a second pass over all weights, even without momentum.
        nesterovs_momentum=False,
        shuffle=shuffle,
        random_state=random_state,
    )
    # A first short training allocates what the next ones go on with.
    first = slice(workload.batch_size)
    model.partial_fit(problem.X[first], problem.y[first], classes=np.arange(workload.n_classes))
    model.coefs_, model.intercepts_ = problem.start.copy()
    random_state.seed(SEED)
    return model


class _Epoch:
    def __init__(self, problem: Problem, shuffle: bool) -> None:
        self.problem = problem
        self.Y = problem.targets.astype(bool)
        self.model = _model(problem, shuffle)

    def __call__(self) -> None:
        self.model.partial_fit(self.problem.X, self.Y)

    def weights(self) -> Weights:
        return Weights(self.model.coefs_, self.model.intercepts_)


def make_epoch(problem: Problem, n_threads: int, *, shuffle: bool) -> _Epoch:
    """Prepare training from the problem's initial weights."""
    threadpool_limits(n_threads, user_api="blas")
    return _Epoch(problem, shuffle)


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""
    threadpool_limits(n_threads, user_api="blas")
    model = _model(problem, shuffle=False)
    return lambda: model.predict_proba(problem.X)
