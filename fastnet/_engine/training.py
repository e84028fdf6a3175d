"""Epochs: shuffling, stopping rules, the best parameters, callbacks."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .losses import Loss
from .network import FloatArray, Network
from .progress import Progress, Rules, record_loss, record_score
from .shuffling import Shuffler
from .solvers import Solver
from .trainer import DivergedError, Trainer

# Samples of all epochs that one call goes through, at most: their order is half a MB.
_MOST_AHEAD = 1 << 16


class Tasks(Protocol):
    """Whom to tell of each epoch: scikit-learn's callbacks."""

    @property
    def are_watched(self) -> bool:
        """Whether anybody is told."""

    def epoch_begins(self) -> None:
        """Tell that an epoch begins."""

    def epoch_ends(self, fit: Callable[[], "Fit"]) -> bool:
        """Tell that an epoch ended; return whether training is to stop.

        What `fit` returns is what training comes to if it stops here; it goes on changing.
        """


@dataclass
class Fit:
    """What training comes to.

    Attributes
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters.
    loss : Loss
        What was minimised.
    progress : Progress
        The record of it.
    solver : dict or None
        What the solver can go on from, `Solver.snapshot`.
    continues : bool
        Whether pickles and files keep the solver's vectors, because training may go on.
    """

    network: Network
    params: FloatArray
    loss: Loss
    progress: Progress
    solver: dict[str, Any] | None = None
    continues: bool = False


# Returns a score, higher is better, and the mean loss, of samples set aside.
Validation = Callable[[], tuple[float, float]]


class Outcome(Enum):
    """Why training ended."""

    STOPPED = "the stopping rule was met"
    MAX_ITER = "max_iter epochs were done"
    ASKED = "a callback asked for it"
    INTERRUPTED = "the user interrupted it"
    DIVERGED = "the loss was no longer finite"


class Training:
    """One run of training, and all that is needed to go back to a good state of it.

    Parameters
    ----------
    trainer : Trainer
        What to train; its parameters and solver change.
    progress : Progress
        The record to add to.
    rules : Rules
        When to shuffle, report and stop.
    tasks : Tasks
        Whom to tell of each epoch.

    Attributes
    ----------
    validation : callable or None
        Returns a score, higher is better, and the mean loss of samples set aside. With
        early stopping, the parameters of the best score are those of the end.
    """

    def __init__(
        self,
        trainer: Trainer,
        progress: Progress,
        rules: Rules,
        tasks: Tasks,
    ) -> None:
        self.trainer = trainer
        self.progress = progress
        self.rules = rules
        self.tasks = tasks
        self.validation: Validation | None = None
        self._best = trainer.params.copy() if rules.early_stopping else trainer.params
        self._saved: tuple[Any, ...] | None = None
        self._shuffle: Shuffler | None = None
        progress.n_iter = 0
        self._save()

    def run(self, random_state: np.random.RandomState, is_shared: bool) -> Outcome:
        """Train for up to ``rules.max_iter`` epochs, as ``MLPClassifier`` does.

        Parameters
        ----------
        random_state : RandomState
            Where permutations are drawn from, as ``sklearn.utils.shuffle`` draws them.
        is_shared : bool
            Whether code that runs between epochs, and is not fastnet's, may draw from it.

        Returns
        -------
        Outcome
            Why it ended. After Ctrl-C everything is as at the end of the last epoch, or of those
            that went together before. Where it diverged, the parameters are the last finite ones
            and the rest is as at the last complete epoch.

        Raises
        ------
        DivergedError, KeyboardInterrupt
            If there is no complete epoch.
        """
        try:
            outcome = self._run_epochs(Shuffler(random_state, is_shared))
        except KeyboardInterrupt:
            if not self.restore():
                raise
            outcome = Outcome.INTERRUPTED
        self.keep_best()
        return outcome

    def _run_epochs(self, shuffle: Shuffler) -> Outcome:
        outcome = Outcome.MAX_ITER
        self._shuffle = shuffle
        together = self._may_go_together(shuffle)
        with shuffle:
            while self.progress.n_iter < self.rules.max_iter and outcome is Outcome.MAX_ITER:
                self.tasks.epoch_begins()
                orders = self._next_orders(self._n_certain() if together else 1, shuffle)
                try:
                    *losses, loss = self._train_epochs(orders)
                except DivergedError as error:
                    if len(orders) > 1:
                        # Once more, one by one: up to the last that ends well.
                        self.restore()
                        together = False
                        continue
                    if self.progress.n_iter == 0:
                        raise
                    self._return_to_finite(error.n_samples)
                    outcome = Outcome.DIVERGED
                else:
                    if losses:
                        self.trainer.data.rows[:] = orders[-1]
                    for one in losses:
                        record_loss(self.progress, one, self.rules)
                    self.progress.t += orders.size
                    outcome = self.end_epoch(loss)
        return outcome

    def _may_go_together(self, shuffle: Shuffler) -> bool:
        """Return whether nothing needs Python between two epochs, unless training ends there.

        With a kernel call for each epoch, 100 epochs of 150 samples took 17.0 instead of 9.0 ms.
        """
        return (
            self.validation is None
            and not self.tasks.are_watched
            and not self.rules.verbose
            and self.trainer.solver.is_steady
            and (shuffle.sees_ahead or not self.rules.shuffle)
        )

    def _n_certain(self) -> int:
        """Return how many epochs there will be in any case; no more than one call is for."""
        rules, progress = self.rules, self.progress
        n_samples = len(self.trainer.data.rows)
        n_epochs = min(
            rules.max_iter - progress.n_iter,
            rules.n_iter_no_change - progress.no_improvement_count + 1,
            self.trainer.epochs_of_a_call(n_samples),
            _MOST_AHEAD // n_samples,
        )
        return max(1, int(n_epochs))

    def _next_orders(self, n_epochs: int, shuffle: Shuffler) -> npt.NDArray[np.int64]:
        """Return the rows in the order of each of the next epochs."""
        rows = self.trainer.data.rows
        orders = rows[np.newaxis] if n_epochs == 1 else np.tile(rows, (n_epochs, 1))
        if self.rules.shuffle:
            shuffle(orders)
        return orders

    def keep_best(self) -> None:
        """With early stopping, go to the parameters of the best score. This is the end."""
        self._saved = None
        if self.rules.early_stopping:
            self.trainer.params[:] = self._best

    def end_epoch(self, loss: float) -> Outcome:
        """Record and judge an epoch; anything but MAX_ITER is a reason to stop."""
        record_loss(self.progress, loss, self.rules)
        if self.validation is not None:
            score, validation_loss = self.validation()
            is_best = record_score(self.progress, score, validation_loss, self.rules)
            if is_best and self.rules.early_stopping:
                self._best = self.trainer.params.copy()
        self.trainer.solver.iteration_ends(self.progress.t)
        stops = _stops(self.trainer.solver, self.progress, self.rules)
        self._save()
        asked = self.tasks.epoch_ends(self.fit)
        if stops:
            return Outcome.STOPPED
        return Outcome.ASKED if asked else Outcome.MAX_ITER

    def fit(self, continues: bool = False) -> Fit:
        """Return what training comes to if it ends here."""
        trainer = self.trainer
        params = self._best if self.rules.early_stopping else trainer.params
        snapshot = trainer.solver.snapshot()
        return Fit(trainer.network, params, trainer.loss, self.progress, snapshot, continues)

    def _train_epochs(self, orders: npt.NDArray[np.int64]) -> list[float]:
        losses = self.trainer.epochs(orders)
        # A parameter that is not finite stays so, and so do its sums.
        if not (np.isfinite(losses).all() and np.isfinite(self.trainer.params).all()):
            raise DivergedError(orders.size)
        return losses

    def _save(self) -> None:
        """Remember everything, which is at the end of an epoch, and finite."""
        # Where this is interrupted, everything still is as at that end.
        self._saved = None
        if self._shuffle is not None:
            self._shuffle.keep()
        solver = self.trainer.solver.snapshot()
        self._saved = (
            self.trainer.params.copy(),
            # Not by `deepcopy`, which takes 30 us: a fifth of an epoch of iris.
            {**solver, "state": solver["state"].copy(), "powers": solver["powers"].copy()},
            dict(vars(self.progress)),
            [len(record) for record in self.progress.lists()],
            self._best,
        )

    def restore(self) -> bool:
        """Undo what came after the last epoch that was saved; return whether there is one."""
        if self._saved is not None:
            params, solver, progress, lengths, self._best = self._saved
            if self._shuffle is not None:
                self._shuffle.undo()
            self.trainer.params[:] = params
            self.trainer.solver.restore(solver)
            vars(self.progress).update(progress)
            for record, length in zip(self.progress.lists(), lengths, strict=True):
                del record[length:]
        return self.progress.n_iter > 0

    def _return_to_finite(self, n_samples: int) -> None:
        """Go back to the last finite parameters of an epoch that diverged.

        They may have stopped being finite some steps before the loss did. The kernels are
        deterministic, so the steps before can be taken once more.
        """
        size = self.rules.batch_size
        good, bad = 0, -(-n_samples // size) + 1
        middle = bad - 1
        while bad - good > 1:
            if self._is_finite_after(middle * size):
                good = middle
            else:
                bad = middle
            middle = (good + bad) // 2
        self._is_finite_after(good * size)
        params = self.trainer.params.copy()
        self.restore()
        self.trainer.params[:] = params

    def _is_finite_after(self, n_samples: int) -> bool:
        """Train from the last complete epoch on, on samples that are finite in their loss."""
        self.restore()
        if n_samples > 0:
            self.trainer.epoch(self.trainer.data.rows[:n_samples])
        return bool(np.isfinite(self.trainer.params).all())


def _stops(solver: Solver, progress: Progress, rules: Rules) -> bool:
    """Return whether to stop; a solver may prefer a lower learning rate instead."""
    if progress.no_improvement_count <= rules.n_iter_no_change:
        return False
    judged = "Validation score" if rules.early_stopping else "Training loss"
    message = (
        f"{judged} did not improve more than tol={rules.tol:f}"
        f" for {rules.n_iter_no_change} consecutive epochs."
    )
    if solver.trigger_stopping(message, rules.verbose):
        return True
    progress.no_improvement_count = 0
    return False
