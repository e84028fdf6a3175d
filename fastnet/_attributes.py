"""What `fit` sets on an estimator, and the way back, to go on from there."""

from typing import Any

from ._base import BaseSigmoidMLP
from ._engine.progress import Progress
from ._engine.training import Fit


def fitted_attributes(fit: Fit) -> dict[str, Any]:
    """Return what `fit` sets, public and private, by name."""
    coefs, intercepts = fit.network.views(fit.params)
    progress = fit.progress
    return {
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": len(fit.network.sizes),
        "n_outputs_": fit.network.sizes[-1],
        "out_activation_": fit.loss.out_activation,
        "n_iter_": progress.n_iter,
        "t_": progress.t,
        "loss_": progress.loss,
        "loss_curve_": progress.loss_curve,
        "best_loss_": progress.best_loss,
        "validation_scores_": progress.validation_scores,
        "validation_loss_curve_": progress.validation_loss_curve,
        "best_validation_score_": progress.best_validation_score,
        "_no_improvement_count": progress.no_improvement_count,
        "_solver_state": fit.solver,
    }


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
