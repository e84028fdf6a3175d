"""fastnet as a contender, with the interface of `benchmarks.peers`."""

from collections.abc import Callable

import numpy as np

from fastnet import SigmoidMLPClassifier
from fastnet._engine import losses, registers
from fastnet._engine.features import Features
from fastnet._engine.network import Network
from fastnet._engine.progress import Progress, Rules
from fastnet._engine.solvers import SGD, Adam, Solver
from fastnet._engine.trainer import Data, Trainer
from fastnet._engine.training import Fit, Training

from .peers import SEED
from .workloads import LEARNING_RATE, FloatArray, Problem, Weights, Workload

NAME = "fastnet"
SAME_SHUFFLE = True


def available() -> str | None:
    """Return None: without it there is nothing to measure."""
    return None


def unsupported(workload: Workload) -> str | None:
    """Return None: it does everything."""
    return None


def _loss(workload: Workload) -> losses.Loss:
    if workload.loss == "squared_error":
        return losses.SQUARED_ERROR
    return losses.BINARY_LOG_LOSS if workload.sizes[-1] == 1 else losses.CATEGORICAL_LOG_LOSS


class _NoTasks:
    """Stands for the callbacks of a fit that has none."""

    are_watched = False

    def epoch_begins(self) -> None:
        """Tell nobody."""

    def epoch_ends(self, fit: Callable[[], Fit]) -> bool:
        """Go on."""
        return False


def _as_after_long_training(trainer: Trainer) -> None:
    """Have a small network's own kernel compiled, as it is beside a million samples of training."""
    if not trainer.in_registers:
        return
    X, Y = trainer.data.features.X, trainer.data.Y
    registers.kernel_for(trainer.network, trainer.loss, X, Y, registers.MANY_SAMPLES)
    registers.wait()


class _Epoch:
    """The loop that `fit` runs, behind its validation of X and y."""

    def __init__(
        self, problem: Problem, n_threads: int, shuffle: bool, n_epochs: int, solver: Solver
    ) -> None:
        workload = problem.workload
        self.problem = problem
        self.network = Network(workload.sizes, fit_intercept=True, dtype=problem.dtype)
        params = self.network.pack(*problem.start)
        self.trainer = Trainer(
            self.network,
            params,
            solver.allocate(params.size, problem.dtype),
            _loss(workload),
            Data(
                Features.of(problem.X),
                problem.targets,
                np.empty(0, problem.dtype),
                np.arange(workload.n_rows),
            ),
            workload.batch_size,
            alpha=0.0,
            max_grad_norm=np.inf,
            n_threads=n_threads,
        )
        _as_after_long_training(self.trainer)
        self.rules = Rules(
            workload.batch_size,
            max_iter=n_epochs,
            shuffle=shuffle,
            tol=0.0,
            n_iter_no_change=np.inf,
            verbose=False,
            early_stopping=False,
        )
        self.progress = Progress()
        self.random_state = np.random.RandomState(SEED)

    def __call__(self) -> None:
        training = Training(self.trainer, self.progress, self.rules, _NoTasks())
        training.run(self.random_state, is_shared=False)

    def weights(self) -> Weights:
        return Weights(*self.network.views(self.trainer.params))


def make_epoch(
    problem: Problem, n_threads: int, *, shuffle: bool, n_epochs: int = 1, adam: bool = False
) -> _Epoch:
    """Prepare training from the problem's initial weights, `n_epochs` in each call."""
    if adam:
        solver: Solver = Adam(LEARNING_RATE, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    else:
        solver = SGD(LEARNING_RATE, "constant", power_t=0.5, momentum=0, nesterov=False)
    return _Epoch(problem, n_threads, shuffle, n_epochs, solver)


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""
    workload = problem.workload
    model = SigmoidMLPClassifier(
        workload.sizes[1:-1], solver="sgd", loss=workload.loss, n_jobs=n_threads
    )
    # A first short training, which the weights wanted then replace.
    first = slice(workload.batch_size)
    model.partial_fit(problem.X[first], problem.y[first], classes=np.arange(workload.n_classes))
    model.coefs_, model.intercepts_ = problem.start.copy()
    return lambda: model.predict_proba(problem.X)
