"""Epochs: shuffling, stopping rules, validation scores."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from . import _dispatch
from ._network import FloatArray, Network
from ._shuffling import Shuffler
from ._solvers import Gradient, Solver

# One kernel call lasts about this long, so that Ctrl-C is heard in between: seconds,
# and the rate at which a slow core gets through the work. One mini-batch at the least.
_CALL_SECONDS = 0.05
_SECONDS_PER_MULTIPLY_ADD = 0.2e-9
_SECONDS_PER_SAMPLE = 0.2e-6


class NonFiniteLossError(ValueError):
    """The loss, and so the parameters, stopped being finite."""

    def __init__(self) -> None:
        super().__init__(
            "Solver produced non-finite parameter weights. The input data may"
            " contain large values and need to be preprocessed."
        )


@dataclass
class Data:
    """Samples to train on.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features; C-contiguous, of the network's dtype.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets, 0 or 1; C-contiguous, uint8.
    rows : ndarray of shape (n_train,)
        Which rows are for training, int64.
    """

    X: FloatArray
    Y: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        # One compiled kernel serves arrays that may be written to and ones that may not.
        self.X = _read_only(self.X)
        self.Y = _read_only(self.Y)


@dataclass
class Progress:
    """How training has gone so far; `MLPClassifier`'s attributes of these names.

    Validation scores are None where there is no early stopping.
    """

    n_iter: int = 0
    t: int = 0
    loss_curve: list[float] = field(default_factory=list)
    best_loss: float | None = np.inf
    validation_scores: list[float] | None = None
    best_validation_score: float | None = None
    no_improvement_count: int = 0

    @classmethod
    def start(cls, early_stopping: bool) -> "Progress":
        """Return the state of a network that has not been trained."""
        if early_stopping:
            return cls(best_loss=None, validation_scores=[], best_validation_score=-np.inf)
        return cls()


@dataclass(frozen=True)
class Rules:
    """When to shuffle, report and stop; the estimator's parameters of these names."""

    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: float
    verbose: bool


class Outcome(Enum):
    """Why training ended."""

    STOPPED = "the stopping rule was met"
    MAX_ITER = "max_iter epochs were done"
    INTERRUPTED = "the user interrupted it"


class Trainer:
    """A network's parameters, and the workspace to change them, for one data set.

    Parameters
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters, changed in place.
    solver : Solver
        The optimiser and its state, changed in place.
    loss : int
        The kernels' number of the loss.
    data : Data
        What to train on.
    batch_size : int
        Samples in a mini-batch.
    alpha : float
        Strength of the L2 penalty.
    n_threads : int
        Threads that may be used.
    """

    def __init__(
        self,
        network: Network,
        params: FloatArray,
        solver: Solver,
        loss: int,
        data: Data,
        batch_size: int,
        alpha: float,
        n_threads: int,
    ) -> None:
        self.network = network
        self.params = params
        self.solver = solver
        self.loss = loss
        self.data = data
        self.batch_size = batch_size
        self.alpha = alpha
        self._total_loss = np.zeros(1)
        self._n_blocks = 0
        self._in_rows = batch_size < kernels.MIN_PANEL_BATCH
        if self._in_rows:
            self._panels = kernels.new_panels(network.row_plan, batch_size, 1, network.dtype)
        else:
            self._allocate_panels(n_threads)
        self._grad = kernels.aligned_zeros(max(1, self._n_blocks) * params.size, params.dtype)

    @property
    def grad(self) -> FloatArray:
        """The last mini-batch's gradient, where the solver is `Gradient`."""
        return self._grad[: self.params.size]

    def _allocate_panels(self, n_threads: int) -> None:
        plan, dtype = self.network.plan, self.network.dtype
        n_panels = kernels.super_block_panels(plan, self.batch_size, dtype)
        width = kernels.panel_lanes(dtype)
        self._n_blocks = kernels.count_blocks(plan, n_panels)
        work = self.params.size * min(self.batch_size, n_panels * width)
        n_threads = min(_dispatch.n_threads_for(work, n_threads), self._n_blocks or n_panels)
        self._pace = _dispatch.Pace(n_threads, self._seconds_per_sample())
        self._panels = kernels.new_panels(plan, n_panels, width, dtype)
        self._panel_losses = np.zeros(n_panels)
        self._strips = kernels.plan_strips(plan)
        self._shares = {n: kernels.share_strips(plan, self._strips, n) for n in {1, n_threads}}
        self._strip_squares = np.zeros(len(self._strips))

    def epoch(self, order: npt.NDArray[np.int64]) -> float:
        """Train on the rows `order` once, in this order; return their mean loss.

        Raises
        ------
        NonFiniteLossError
            If the loss of a mini-batch is not finite; `params` is then of no use.
        """
        n_batches = max(1, int(_CALL_SECONDS / (self._seconds_per_sample() * self.batch_size)))
        step = n_batches * self.batch_size
        hyper = self.solver.hyper(self.alpha)
        self._total_loss[0] = 0.0
        for first in range(0, len(order), step):
            last = min(first + step, len(order))
            if self._train(order, first, last, hyper) < last - first:
                raise NonFiniteLossError
        return float(self._total_loss[0]) / len(order)

    def _seconds_per_sample(self) -> float:
        return _SECONDS_PER_SAMPLE + _SECONDS_PER_MULTIPLY_ADD * 3 * self.params.size

    def _train(
        self, order: npt.NDArray[np.int64], first: int, last: int, hyper: npt.NDArray[np.float64]
    ) -> int:
        data, solver, network = self.data, self.solver, self.network
        batches = (data.X, data.Y, order, first, last, self.batch_size)
        parameters = (self.params, self._grad, solver.state)
        step = (self.loss, solver.code, hyper, solver.powers)
        if self._in_rows:
            return int(
                kernels.train_rows(
                    *batches, network.row_plan, *parameters, *step, self._panels, self._total_loss
                )
            )
        workspace: tuple[Any, ...] = (self._panels, self._panel_losses)
        if self._n_blocks:
            kernel = kernels.train_blocks
            arguments: tuple[Any, ...] = (network.plan, *parameters, *step, *workspace)
        else:
            kernel = kernels.train_batches
            strips = (self._strips, self._shares[self._pace.n_threads])
            workspace = (*workspace, self._strip_squares)
            arguments = (network.plan, *strips, *parameters, *step, *workspace)
        return int(self._pace.run(kernel, last - first, *batches, *arguments, self._total_loss))


class _Checkpoint:
    """Everything as it was at the last complete epoch."""

    def __init__(self, trainer: Trainer, progress: Progress, best: FloatArray) -> None:
        self.params = trainer.params.copy()
        self.solver = trainer.solver.copy()
        self.progress = copy.copy(progress)
        self.n_losses = len(progress.loss_curve)
        self.n_scores = len(progress.validation_scores or [])
        self.best = best

    def restore(self, trainer: Trainer, progress: Progress) -> None:
        """Undo what an interrupted epoch did."""
        trainer.params[:] = self.params
        trainer.solver = self.solver
        vars(progress).update(vars(self.progress))
        del progress.loss_curve[self.n_losses :]
        if progress.validation_scores is not None:
            del progress.validation_scores[self.n_scores :]


def train(
    trainer: Trainer,
    progress: Progress,
    rules: Rules,
    random_state: np.random.RandomState,
    score: Callable[[FloatArray], float] | None = None,
) -> Outcome:
    """Train for up to ``rules.max_iter`` epochs, as ``MLPClassifier`` does.

    Parameters
    ----------
    trainer : Trainer
        What to train; its parameters and solver change.
    progress : Progress
        The record to add to.
    rules : Rules
        When to shuffle, report and stop.
    random_state : RandomState
        Where permutations are drawn from, as ``sklearn.utils.shuffle`` draws them.
    score : callable, optional
        ``score(params)``, for early stopping: higher is better, and in the end the
        parameters are the best scored.

    Returns
    -------
    Outcome
        Why it ended. After Ctrl-C everything is as at the last complete epoch.

    Raises
    ------
    NonFiniteLossError
        If the loss or a parameter stops being finite.
    """
    best = trainer.params.copy()
    order = trainer.data.rows
    progress.n_iter = 0
    outcome = Outcome.MAX_ITER
    checkpoint = _Checkpoint(trainer, progress, best)
    try:
        with Shuffler(random_state, len(order)) as shuffled:
            while progress.n_iter < rules.max_iter:
                if rules.shuffle:
                    order = shuffled(order)
                _record_loss(progress, trainer.epoch(order), len(order), rules)
                if score is not None and _record_score(progress, score(trainer.params), rules):
                    best = trainer.params.copy()
                trainer.solver.iteration_ends(progress.t)
                stopped = _stops(trainer.solver, progress, rules)
                checkpoint = _Checkpoint(trainer, progress, best)
                if stopped:
                    outcome = Outcome.STOPPED
                    break
    except KeyboardInterrupt:
        checkpoint.restore(trainer, progress)
        best = checkpoint.best
        outcome = Outcome.INTERRUPTED
    if score is not None:
        trainer.params[:] = best
    if not np.isfinite(trainer.params).all():
        raise NonFiniteLossError
    return outcome


def _record_loss(progress: Progress, loss: float, n_samples: int, rules: Rules) -> None:
    """Add an epoch to the record; without early stopping, judge it by its loss."""
    progress.n_iter += 1
    progress.t += n_samples
    progress.loss_curve.append(loss)
    if rules.verbose:
        print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")
    if progress.best_loss is not None:
        if loss > progress.best_loss - rules.tol:
            progress.no_improvement_count += 1
        else:
            progress.no_improvement_count = 0
        progress.best_loss = min(loss, progress.best_loss)


def _record_score(progress: Progress, score: float, rules: Rules) -> bool:
    """Judge an epoch by its validation score; return whether it is the best so far."""
    assert progress.validation_scores is not None
    assert progress.best_validation_score is not None
    progress.validation_scores.append(score)
    if rules.verbose:
        print(f"Validation score: {score:f}")
    if score < progress.best_validation_score + rules.tol:
        progress.no_improvement_count += 1
    else:
        progress.no_improvement_count = 0
    is_best = score > progress.best_validation_score
    progress.best_validation_score = max(score, progress.best_validation_score)
    return is_best


def _stops(solver: Solver, progress: Progress, rules: Rules) -> bool:
    """Return whether to stop; a solver may prefer a lower learning rate instead."""
    if progress.no_improvement_count <= rules.n_iter_no_change:
        return False
    judged = "Training loss" if progress.validation_scores is None else "Validation score"
    message = (
        f"{judged} did not improve more than tol={rules.tol:f}"
        f" for {rules.n_iter_no_change} consecutive epochs."
    )
    if solver.trigger_stopping(message, rules.verbose):
        return True
    progress.no_improvement_count = 0
    return False


def loss_gradients(
    network: Network, params: FloatArray, loss: int, data: Data, alpha: float, n_threads: int
) -> tuple[float, FloatArray]:
    """Return the mean loss over the data and its gradient, a vector like `params`."""
    solver = Gradient(0.0).allocate(params.size, network.dtype)
    n_rows = len(data.rows)
    trainer = Trainer(network, params, solver, loss, data, n_rows, alpha, n_threads)
    return trainer.epoch(data.rows), trainer.grad


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
