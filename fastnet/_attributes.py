"""The table of what `fit` sets on an estimator, and the way back, to go on from there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Any

from ._base import BaseSigmoidMLP
from ._engine.progress import Progress
from ._engine.training import Fit


class Stored(Enum):
    """How a file holds an attribute."""

    NUMBER = "in its header"
    CURVE = "as an array of float64, or not where it is None"
    OTHERWISE = "in a way of its own, or not, because it follows from others"


@dataclass(frozen=True)
class Attribute:
    """An attribute that `fit` sets.

    Attributes
    ----------
    name : str
        Its name.
    of : callable
        Returns it, of what training came to.
    stored : Stored
        How a file holds it.
    kinds : tuple of type
        Of a number, what it may be.
    is_record : bool
        Whether it tells how training went, and scikit-learn's classes have it too.
    """

    name: str
    of: Callable[[Fit], Any]
    stored: Stored = Stored.OTHERWISE
    kinds: tuple[type, ...] = ()
    is_record: bool = False


def _number(name: str, of: Callable[[Progress], Any], *kinds: type) -> Attribute:
    return Attribute(name, lambda fit: of(fit.progress), Stored.NUMBER, kinds, is_record=True)


def _curve(name: str, of: Callable[[Progress], Any], is_record: bool = True) -> Attribute:
    return Attribute(name, lambda fit: of(fit.progress), Stored.CURVE, is_record=is_record)


FITTED = (
    Attribute("coefs_", lambda fit: fit.network.views(fit.params)[0]),
    Attribute("intercepts_", lambda fit: fit.network.views(fit.params)[1]),
    Attribute("n_layers_", lambda fit: len(fit.network.sizes)),
    Attribute("n_outputs_", lambda fit: fit.network.sizes[-1]),
    Attribute("out_activation_", lambda fit: fit.loss.out_activation),
    Attribute("_solver_state", lambda fit: fit.solver),
    Attribute("_continues", lambda fit: fit.continues),
    _number("n_iter_", lambda progress: progress.n_iter, int),
    _number("t_", lambda progress: progress.t, int),
    _number("_no_improvement_count", lambda progress: progress.no_improvement_count, int),
    _number("loss_", lambda progress: progress.loss, float),
    _number("best_loss_", lambda progress: progress.best_loss, float, NoneType),
    _number(
        "best_validation_score_", lambda progress: progress.best_validation_score, float, NoneType
    ),
    _curve("loss_curve_", lambda progress: progress.loss_curve),
    _curve("validation_scores_", lambda progress: progress.validation_scores),
    _curve("validation_loss_curve_", lambda progress: progress.validation_loss_curve, False),
)


def fitted_attributes(fit: Fit) -> dict[str, Any]:
    """Return what `fit` sets, public and private, by name."""
    return {attribute.name: attribute.of(fit) for attribute in FITTED}


def progress_of(
    estimator: BaseSigmoidMLP, starts: bool, has_validation: bool, early_stopping: bool
) -> Progress:
    """Return the record to add to: that of the last call, where training goes on."""
    progress = Progress.start(has_validation, early_stopping)
    if starts:
        return progress
    progress.t = estimator.t_
    progress.loss_curve = list(estimator.loss_curve_)
    progress.no_improvement_count = estimator._no_improvement_count
    if has_validation and estimator.validation_scores_ is not None:
        progress.validation_scores = list(estimator.validation_scores_)
        progress.validation_loss_curve = list(estimator.validation_loss_curve_ or [])
        progress.best_validation_score = estimator.best_validation_score_
    if not early_stopping and estimator.best_loss_ is not None:
        progress.best_loss = estimator.best_loss_
    return progress
