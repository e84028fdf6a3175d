"""Losses: what outputs mean, and the mean loss of logits outside of training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax

from fastnet import kernels

from .network import FloatArray

Array = npt.NDArray[Any]


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
        Returns the least mean loss of outputs that do not depend on the sample, of the mean
        of each target.
    """

    code: int
    out_activation: str
    per_sample: Callable[[Array, Array], Array]
    of_constant: Callable[[Array], float]

    @property
    def output(self) -> int:
        """What the kernels are to make of logits."""
        return kernels.SOFTMAX if self.out_activation == "softmax" else kernels.SIGMOID

    @np.errstate(over="ignore", under="ignore")
    def mean(self, z: FloatArray, Y: Array, weights: FloatArray | None) -> float:
        """Return the mean loss of logits, in float64, without a penalty.

        What the kernels sum in training, on samples that are not trained on.

        Raises
        ------
        ValueError
            If the weights add up to zero.
        """
        if weights is not None and weights.sum() == 0.0:
            raise ValueError("Sample weights of a validation set must not add up to zero.")
        return float(np.average(self.per_sample(z.astype(np.float64), Y), weights=weights))

    @np.errstate(over="ignore", under="ignore")
    def constant(self, Y: Array, weights: FloatArray | None) -> float:
        """Return the mean loss of the best outputs that are the same for every sample.

        It is 0 where weights add up to zero, so that nothing can be better.
        """
        if weights is not None and weights.sum() == 0.0:
            return 0.0
        return self.of_constant(np.average(Y, axis=0, weights=weights))


def _entropy(p: Array) -> float:
    p = p[p > 0.0]
    return float(-(p * np.log(p)).sum())


BINARY_LOG_LOSS = Loss(
    kernels.BINARY_LOG_LOSS,
    "logistic",
    lambda z, Y: -log_expit(np.where(Y == 1, z, -z)).sum(axis=1),
    lambda p: _entropy(np.concatenate([p, 1.0 - p])),
)
CATEGORICAL_LOG_LOSS = Loss(
    kernels.CATEGORICAL_LOG_LOSS,
    "softmax",
    lambda z, Y: -log_softmax(z, axis=1)[Y == 1],
    _entropy,
)
# Of sigmoids, whose targets are 0 and 1: the squared distance to whichever it is.
SQUARED_ERROR = Loss(
    kernels.SQUARED_ERROR,
    "logistic",
    lambda z, Y: np.exp(2.0 * log_expit(np.where(Y == 1, -z, z))).sum(axis=1),
    lambda p: float((p * (1.0 - p)).sum()),
)
