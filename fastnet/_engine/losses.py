"""Losses: what outputs mean, and the mean loss of logits outside of training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax, xlogy

from fastnet import kernels

from .network import FloatArray

Array = npt.NDArray[Any]
Weights = FloatArray | None


@dataclass(frozen=True)
class Loss:
    """A loss, and the output layer that goes with it.

    Attributes
    ----------
    code : int
        The kernels' number.
    out_activation : str
        Activation of the output layer, by the name that scikit-learn gives it.
    per_sample : callable
        Returns the loss of each sample, of logits in float64 and targets.
    of_constant : callable
        Returns the mean loss of the best outputs that are the same for every sample, of the
        targets, their means and the samples' weights.
    """

    code: int
    out_activation: str
    per_sample: Callable[[Array, Array], Array]
    of_constant: Callable[[Array, Array, Weights], Any]

    @np.errstate(over="ignore", under="ignore")
    def mean(self, z: FloatArray, Y: Array, weights: Weights) -> float:
        """Return the mean loss of logits, in float64, without a penalty.

        The loss is that of training; the samples may be others.

        Raises
        ------
        ValueError
            If the weights add up to zero.
        """
        if weights is not None and weights.sum() == 0.0:
            raise ValueError("Sample weights of a validation set must not add up to zero.")
        return float(np.average(self.per_sample(z.astype(np.float64), Y), weights=weights))

    @np.errstate(over="ignore", under="ignore")
    def constant(self, Y: Array, weights: Weights) -> float:
        """Return the mean loss of the best outputs that are the same for every sample.

        It is 0 where weights add up to zero, so that nothing can be better.
        """
        if weights is not None and weights.sum() == 0.0:
            return 0.0
        # Rounded, or by weights of mixed sign, a mean may be beyond all targets.
        means = np.average(Y, axis=0, weights=weights).clip(Y.min(axis=0), Y.max(axis=0))
        return float(self.of_constant(Y, means, weights))


def _half_variance(Y: Array, means: Array, weights: Weights) -> Any:
    return 0.5 * np.average((Y - means) ** 2, axis=0, weights=weights).mean()


def _half_deviance_of_mean(Y: Array, means: Array, weights: Weights) -> Any:
    return (np.average(xlogy(Y, Y), axis=0, weights=weights) - xlogy(means, means)).sum()


# Losses of sigmoid outputs; targets are 0 and 1.
BINARY_LOG_LOSS = Loss(
    kernels.BINARY_LOG_LOSS,
    "logistic",
    lambda z, Y: -log_expit(np.where(Y == 1, z, -z)).sum(axis=1),
    lambda Y, p, weights: -(xlogy(p, p) + xlogy(1.0 - p, 1.0 - p)).sum(),
)
SQUARED_ERROR = Loss(
    kernels.SQUARED_ERROR,
    "logistic",
    # The distance to 0 or 1, whichever it is.
    lambda z, Y: np.exp(2.0 * log_expit(np.where(Y == 1, -z, z))).sum(axis=1),
    lambda Y, p, weights: (p * (1.0 - p)).sum(),
)
# The loss of a softmax; one target of a sample is 1.
CATEGORICAL_LOG_LOSS = Loss(
    kernels.CATEGORICAL_LOG_LOSS,
    "softmax",
    lambda z, Y: -log_softmax(z, axis=1)[Y == 1],
    lambda Y, p, weights: -xlogy(p, p).sum(),
)
# Losses of regression. With several outputs, scikit-learn reports the mean of the first and the
# sum of the second.
HALF_SQUARED_ERROR = Loss(
    kernels.HALF_SQUARED_ERROR,
    "identity",
    lambda z, Y: 0.5 * ((z - Y) ** 2).mean(axis=1),
    _half_variance,
)
HALF_POISSON_DEVIANCE = Loss(
    kernels.HALF_POISSON_DEVIANCE,
    "exp",
    lambda z, Y: (xlogy(Y, Y) - np.where(Y > 0.0, Y * z, 0.0) - Y + np.exp(z)).sum(axis=1),
    _half_deviance_of_mean,
)
