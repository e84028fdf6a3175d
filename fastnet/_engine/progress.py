"""The record of a training, and how it judges an epoch."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Progress:
    """How training has gone so far; `MLPClassifier`'s attributes of these names.

    `best_loss` is None where validation scores decide; what is about validation is None
    where there is none.
    """

    n_iter: int = 0
    t: int = 0
    loss: float = np.inf
    loss_curve: list[float] = field(default_factory=list)
    best_loss: float | None = np.inf
    validation_scores: list[float] | None = None
    validation_loss_curve: list[float] | None = None
    best_validation_score: float | None = None
    no_improvement_count: int = 0

    @classmethod
    def start(cls, has_validation: bool, early_stopping: bool) -> "Progress":
        """Return the state of a network that has not been trained."""
        progress = cls(best_loss=None if early_stopping else np.inf)
        if has_validation:
            progress.validation_scores = []
            progress.validation_loss_curve = []
            progress.best_validation_score = -np.inf
        return progress

    def lists(self) -> list[list[float]]:
        """Return the records that grow by an element an epoch."""
        records = (self.loss_curve, self.validation_scores, self.validation_loss_curve)
        return [record for record in records if record is not None]


@dataclass(frozen=True)
class Rules:
    """When to shuffle, report and stop; the estimator's parameters of these names."""

    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: float
    verbose: bool
    early_stopping: bool


def record_loss(progress: Progress, loss: float, rules: Rules) -> None:
    """Add an epoch to the record; without early stopping, judge it by its loss."""
    progress.n_iter += 1
    progress.loss = loss
    progress.loss_curve.append(loss)
    if rules.verbose:
        print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")
    if progress.best_loss is not None:
        _judge(progress, improved=loss <= progress.best_loss - rules.tol)
        progress.best_loss = min(loss, progress.best_loss)


def record_score(progress: Progress, score: float, loss: float, rules: Rules) -> bool:
    """Add validation to the record; return whether the score is the best so far.

    With early stopping, the epoch is judged by it.
    """
    assert progress.validation_scores is not None
    assert progress.validation_loss_curve is not None
    assert progress.best_validation_score is not None
    progress.validation_scores.append(score)
    progress.validation_loss_curve.append(loss)
    if rules.verbose:
        print(f"Validation score: {score:f}")
    if rules.early_stopping:
        # In this form a score that is not a number counts as one that is better.
        worse = score < progress.best_validation_score + rules.tol
        _judge(progress, improved=not worse)
    is_best = score > progress.best_validation_score
    if is_best:
        progress.best_validation_score = score
    return is_best


def _judge(progress: Progress, *, improved: bool) -> None:
    progress.no_improvement_count = 0 if improved else progress.no_improvement_count + 1
