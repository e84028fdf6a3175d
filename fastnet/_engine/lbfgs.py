"""L-BFGS: scipy's optimiser on the compiled loss and gradient."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, minimize

from .trainer import DivergedError
from .training import Outcome, Training


def run_lbfgs(training: Training, max_fun: int) -> tuple[Outcome, OptimizeResult | None]:
    """Minimise the loss of the full batch.

    An iteration counts as an epoch: it is recorded, judged by its validation score where
    there is early stopping, and told to callbacks.

    Parameters
    ----------
    training : Training
        What to train, with a solver that leaves the gradient.
    max_fun : int
        Most evaluations of the loss.

    Returns
    -------
    outcome : Outcome
        Why it ended, MAX_ITER standing for scipy's own reasons. After Ctrl-C, or where
        the loss is not finite, everything is as at the last complete iteration.
    result : OptimizeResult or None
        Scipy's account, if it came to an end of its own.

    Raises
    ------
    DivergedError, KeyboardInterrupt
        If the loss is not finite, or Ctrl-C comes, before the end of the first iteration.
    """
    trainer, rules = training.trainer, training.rules
    outcome = Outcome.MAX_ITER
    rows = trainer.data.rows

    def loss_and_gradient(x: npt.NDArray[np.float64]) -> tuple[float, Any]:
        training.tasks.epoch_begins()
        trainer.params[:] = x
        loss = trainer.epoch(rows)
        return loss, trainer.grad.astype(np.float64)

    def end_iteration(intermediate_result: OptimizeResult) -> None:
        nonlocal outcome
        trainer.params[:] = intermediate_result.x
        outcome = training.end_epoch(float(intermediate_result.fun))
        if outcome is not Outcome.MAX_ITER:
            raise StopIteration

    result = None
    options = {"maxfun": max_fun, "maxiter": rules.max_iter, "gtol": rules.tol}
    try:
        result = minimize(
            loss_and_gradient,
            trainer.params.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=end_iteration,
            options=options,
        )
        trainer.params[:] = result.x
        training.progress.loss = float(result.fun)
    except (DivergedError, KeyboardInterrupt) as error:
        if not training.restore():
            raise
        is_divergence = isinstance(error, DivergedError)
        outcome = Outcome.DIVERGED if is_divergence else Outcome.INTERRUPTED
    training.keep_best()
    return outcome, result if outcome is Outcome.MAX_ITER else None
