"""What is measured: one table of networks and batch sizes, and data to train them on.

The table feeds the benchmarks and the correctness tests alike.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

DTYPES = ("float32", "float64")

# A power of two: FANN keeps it in single precision.
LEARNING_RATE = 2**-4


class Weights(NamedTuple):
    """Weights and biases of every layer, in the layout of scikit-learn's attributes."""

    coefs: list[FloatArray]
    intercepts: list[FloatArray]

    def copy(self) -> Self:
        """Return an independent copy, which a contender may train in place."""
        return type(self)(
            [np.array(coef) for coef in self.coefs], [np.array(b) for b in self.intercepts]
        )


@dataclass(frozen=True)
class Workload:
    """One epoch of plain gradient descent.

    Attributes
    ----------
    sizes : tuple of int
        Units of every layer, input and output included.
    batch_size : int
        Rows of a mini-batch.
    n_rows : int
        Rows of an epoch.
    loss : {"log_loss", "squared_error"}
        Loss at the output layer.
    """

    sizes: tuple[int, ...]
    batch_size: int
    n_rows: int
    loss: str = "log_loss"

    @property
    def name(self) -> str:
        """The workload in words; it identifies a row of the table."""
        network = "-".join(map(str, self.sizes))
        loss = "" if self.loss == "log_loss" else f" {self.loss}"
        return f"{network} batch {self.batch_size}{loss}"

    @property
    def n_classes(self) -> int:
        """Classes that the outputs tell apart."""
        return max(2, self.sizes[-1])

    @property
    def flops(self) -> int:
        """Operations of the matrix products of one epoch: forward, gradient, delta."""
        layers = list(pairwise(self.sizes))
        forward_and_gradient = sum(4 * (fan_in + 1) * fan_out for fan_in, fan_out in layers)
        delta = sum(2 * fan_in * fan_out for fan_in, fan_out in layers[1:])
        return self.n_rows * (forward_and_gradient + delta)

    def shortened(self) -> Self:
        """Return the same work on few rows: whole batches, and a part of one."""
        few = max(20, 2 * self.batch_size + self.batch_size // 3)
        return replace(self, n_rows=min(self.n_rows, few))


WORKLOADS = (
    Workload((2, 2, 1), batch_size=1, n_rows=2_000),
    Workload((3, 2, 1), batch_size=32, n_rows=100_000),
    Workload((28, 64, 1), batch_size=200, n_rows=100_000),
    Workload((28, 64, 64, 1), batch_size=200, n_rows=100_000),
    Workload((784, 128, 10), batch_size=128, n_rows=20_000),
    Workload((784, 1024, 1024, 10), batch_size=512, n_rows=4_096),
    Workload((28, 64, 1), batch_size=1, n_rows=20_000),
    Workload((28, 64, 1), batch_size=200, n_rows=100_000, loss="squared_error"),
)


@dataclass(frozen=True)
class Problem:
    """A workload with its data and the weights that training starts from.

    Attributes
    ----------
    workload : Workload
        What to do with them.
    X : ndarray of shape (n_rows, n_features)
        Inputs.
    y : ndarray of shape (n_rows,)
        Labels 0, 1, ...
    start : Weights
        Initial weights; contenders train a copy.
    """

    workload: Workload
    X: FloatArray
    y: npt.NDArray[np.int64]
    start: Weights

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of inputs and weights."""
        return self.X.dtype

    @property
    def targets(self) -> npt.NDArray[np.uint8]:
        """Targets of every output: the label itself, or one column for each class."""
        if self.workload.sizes[-1] == 1:
            return self.y.astype(np.uint8)[:, np.newaxis]
        return np.eye(self.workload.n_classes, dtype=np.uint8)[self.y]

    def with_loss(self, loss: str) -> Self:
        """Return the same problem under another loss."""
        return replace(self, workload=replace(self.workload, loss=loss))


def make_problem(workload: Workload, dtype: npt.DTypeLike, seed: int = 0) -> Problem:
    """Draw a problem that is the same every time.

    The inputs are normal, so there are no zeros to skip and no subnormal numbers to be
    slow on; the labels follow a linear rule with noise, so weights stay bounded however
    long the training.
    """
    rng = np.random.default_rng(seed)
    shape = workload.n_rows, workload.sizes[0]
    X = rng.standard_normal(shape).astype(dtype, copy=False)
    rule = rng.standard_normal((workload.sizes[0], workload.sizes[-1])) / np.sqrt(shape[1])
    scores = X @ rule.astype(dtype)
    scores += rng.gumbel(size=scores.shape) - rng.gumbel(size=scores.shape)
    y = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.int64)
    return Problem(workload, X, y, _initial_weights(workload.sizes, dtype, rng))


def _initial_weights(
    sizes: tuple[int, ...], dtype: npt.DTypeLike, rng: np.random.Generator
) -> Weights:
    weights = Weights([], [])
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(2 / (fan_in + fan_out))
        weights.coefs.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype))
        weights.intercepts.append(rng.uniform(-bound, bound, fan_out).astype(dtype))
    return weights
