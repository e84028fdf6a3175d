"""The numpy baseline as a contender."""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from .. import numpy_baseline
from ..workloads import LEARNING_RATE, FloatArray, Problem, Weights, Workload
from . import SEED

NAME = "numpy"
SAME_SHUFFLE = True


def available() -> str | None:
    """Return None: it always is."""
    return None


def unsupported(workload: Workload) -> str | None:
    """Return None: it does everything."""
    return None


class _Epoch:
    def __init__(self, problem: Problem, shuffle: bool) -> None:
        self.problem = problem
        self.shuffle = shuffle
        self.targets = problem.targets.astype(problem.dtype)
        self.current = problem.start.copy()
        self.order = np.arange(problem.workload.n_rows)
        self.random_state = np.random.RandomState(SEED)

    def __call__(self) -> None:
        if self.shuffle:
            self.random_state.shuffle(self.order)
        numpy_baseline.train_epoch(
            self.problem.X,
            self.targets,
            *self.current,
            self.order,
            self.problem.workload.batch_size,
            LEARNING_RATE,
            self.problem.workload.loss,
        )

    def weights(self) -> Weights:
        return self.current


def make_epoch(problem: Problem, n_threads: int, *, shuffle: bool) -> _Epoch:
    """Prepare training from the problem's initial weights."""
    threadpool_limits(n_threads, user_api="blas")
    return _Epoch(problem, shuffle)


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""
    threadpool_limits(n_threads, user_api="blas")
    return lambda: numpy_baseline.predict_proba(problem.X, *problem.start, problem.workload.loss)
