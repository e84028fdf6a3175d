"""Samples set aside: their score and loss after an epoch."""

import numpy as np
from sklearn.metrics import check_scoring

from fastnet import kernels

from ._attributes import fitted_attributes
from ._base import BaseSigmoidMLP
from ._engine.features import Features
from ._engine.prediction import forward
from ._engine.progress import Progress
from ._engine.trainer import Trainer
from ._engine.training import Fit
from ._inputs import Samples


class Validator:
    """Scores a network in training on samples set aside (`_engine.training.Validation`).

    Parameters
    ----------
    estimator : BaseSigmoidMLP
        Whose network it is.
    held_out : Samples
        The samples.
    trainer : Trainer
        What is trained.
    progress : Progress
        The record of it.
    """

    def __init__(
        self,
        estimator: BaseSigmoidMLP,
        held_out: Samples,
        trainer: Trainer,
        progress: Progress,
    ) -> None:
        self._estimator = estimator
        self._held_out = held_out
        self._trainer = trainer
        self._progress = progress
        self._features = Features.of(held_out.X)

    def __call__(self) -> tuple[float, float]:
        """Return the score, higher is better, and the mean loss."""
        estimator, trainer = self._estimator, self._trainer
        y, Y, weights = self._held_out.y, self._held_out.Y, self._held_out.weights
        (z,), _ = forward(
            trainer.network, trainer.params, self._features, kernels.LOGITS, n_jobs=estimator.n_jobs
        )
        loss = trainer.loss.mean(z, Y, weights)
        if estimator.scoring is None:
            with np.errstate(all="ignore"):
                return estimator._score_of(y, estimator._decode(z), weights), loss
        return -loss if estimator.scoring == "loss" else self._score(), loss

    def _score(self) -> float:
        """Return the score of the estimator as it would be if training ended now."""
        trainer = self._trainer
        fitted = object.__new__(type(self._estimator))
        fitted.__dict__ = vars(self._estimator) | fitted_attributes(
            Fit(trainer.network, trainer.params, trainer.loss, self._progress)
        )
        # Features were given to `fit` with their names, but are an array here.
        fitted.__dict__.pop("feature_names_in_", None)
        weights = self._held_out.weights
        given = {} if weights is None else {"sample_weight": weights}
        score = check_scoring(fitted, self._estimator.scoring)
        return float(score(fitted, self._held_out.X, self._held_out.y, **given))
