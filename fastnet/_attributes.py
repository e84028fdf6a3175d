"""What `fit` sets on an estimator, and the way back, to go on from there."""

from typing import TYPE_CHECKING, Any

from fastnet import kernels

from ._network import FloatArray, Network
from ._progress import Progress
from ._solvers import Solver

if TYPE_CHECKING:
    from ._classifier import SigmoidMLPClassifier


def fitted_attributes(
    network: Network, params: FloatArray, loss: int, progress: Progress, solver: Solver | None
) -> dict[str, Any]:
    """Return what `fit` sets, public and private, by name."""
    coefs, intercepts = network.views(params)
    uses_softmax = loss == kernels.CATEGORICAL_LOG_LOSS
    return {
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": len(network.sizes),
        "n_outputs_": network.sizes[-1],
        "out_activation_": "softmax" if uses_softmax else "logistic",
        "n_iter_": progress.n_iter,
        "t_": progress.t,
        "loss_": progress.loss,
        "loss_curve_": progress.loss_curve,
        "best_loss_": progress.best_loss,
        "validation_scores_": progress.validation_scores,
        "validation_loss_curve_": progress.validation_loss_curve,
        "best_validation_score_": progress.best_validation_score,
        "_no_improvement_count": progress.no_improvement_count,
        "_solver_state": None if solver is None else solver.snapshot(),
    }


def progress_of(
    estimator: "SigmoidMLPClassifier", starts: bool, has_validation: bool, early_stopping: bool
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
        progress.validation_loss_curve = list(estimator.validation_loss_curve_)
        progress.best_validation_score = estimator.best_validation_score_
    if not early_stopping and estimator.best_loss_ is not None:
        progress.best_loss = estimator.best_loss_
    return progress
