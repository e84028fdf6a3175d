"""The output layer: from logits and targets to the loss and its derivative.

All work in place on one panel, of `width` lanes. On entry `z` holds the logits and
`delta` the targets; on return `delta` holds dLoss/dz and `z` what each element
adds to the loss. Log-losses come from logits and are finite where the differences of
logits are.
"""

from typing import Any

from ._jit import device, inline, paste
from .formula import Number, elementwise
from .intrinsics import cast, holds_labels, load, store
from .sigmoid import (
    exp,
    exp_nonpositive,
    log,
    log1p_unit,
    log_from_one,
    sigmoid,
    sigmoid_slope,
)

# Losses.
BINARY_LOG_LOSS = 0  # sigmoid outputs
CATEGORICAL_LOG_LOSS = 1  # softmax outputs
SQUARED_ERROR = 2  # sigmoid outputs
HALF_SQUARED_ERROR = 3  # outputs are logits
HALF_POISSON_DEVIANCE = 4  # outputs are exponentials


@inline
def output_loss(
    loss: int, Y: Any, panels: Any, z: int, delta: int, scratch: int, n_outputs: int, width: int,
    count: int, weights: Any, order: Any, first: int,
) -> float:  # fmt: skip
    """Return the summed loss of the first `count` samples of a panel.

    Those are the samples ``order[first : first + count]``; each counts as often as its
    element of `weights` says, which is empty where each counts once. The deltas of the
    other lanes become zero, so that they add nothing to a gradient. `Y` is where the targets
    come from: losses of the other kind of targets are left out of what is compiled.
    """
    if holds_labels(Y):
        if loss == BINARY_LOG_LOSS:
            _binary_log_losses((panels, panels), (z, delta), n_outputs * width, ())
        elif loss == CATEGORICAL_LOG_LOSS:
            _categorical_log_loss(panels, z, delta, scratch, n_outputs, width)
        elif loss == SQUARED_ERROR:
            _squared_errors((panels, panels), (z, delta), n_outputs * width, ())
    elif loss == HALF_SQUARED_ERROR:
        half = cast(0.5 / n_outputs, panels)
        _half_squared_errors((panels, panels), (z, delta), n_outputs * width, (half,))
    elif loss == HALF_POISSON_DEVIANCE:
        _half_poisson_deviances((panels, panels), (z, delta), n_outputs * width, ())
    if weights.size > 0:
        for lane in range(count):
            weight = load(weights, load(order, first + lane))
            for i in range(lane, n_outputs * width, width):
                store(panels, z + i, load(panels, z + i) * weight)
                store(panels, delta + i, load(panels, delta + i) * weight)
    total = 0.0
    for unit in range(n_outputs):
        row = unit * width
        for lane in range(count):
            total += load(panels, z + row + lane)
        for lane in range(count, width):
            store(panels, delta + row + lane, cast(0, panels))
    return total


@paste
def total_weight(weights: Any, order: Any, first: int, count: int) -> float:
    """Return how much the samples ``order[first : first + count]`` count together."""
    if weights.size == 0:
        return float(count)
    total = 0.0
    for i in range(first, first + count):
        total += load(weights, load(order, i))
    return total


def _binary_log_loss_of(z: Number, y: Number) -> list[Number]:
    """``-y log p - (1 - y) log(1 - p)`` with p = sigmoid(z); its derivative p - y.

    In logits: ``max(z, 0) - y z + log(1 + exp(-|z|))``.
    """
    e = exp_nonpositive(-abs(z))
    p = e.where(z < 0.0, 1.0) / (1.0 + e)
    # y is 0 or 1, so only one of these is taken: right also for an infinite logit.
    miss = (-z).where(z < 0.0, 0.0).where(y > 0.0, z.where(z > 0.0, 0.0))
    return [miss + log1p_unit(e), p - y]


def _squared_error_of(z: Number, y: Number) -> list[Number]:
    """``(p - y)**2`` with p = sigmoid(z); its derivative ``2 (p - y) p (1 - p)``."""
    p = sigmoid(z)
    difference = p - y
    return [difference * difference, (difference + difference) * sigmoid_slope(p)]


def _half_squared_error_of(z: Number, y: Number, half: Number) -> list[Number]:
    """``(z - y)**2 / 2``, of several outputs the mean; the derivative ``z - y`` is of the sum.

    scikit-learn reports that loss, and descends along that derivative.
    """
    difference = z - y
    return [half * difference * difference, difference]


def _half_poisson_deviance_of(z: Number, y: Number) -> list[Number]:
    """``y log(y / p) - y + p`` with p = exp(z), where 0 log 0 is 0; its derivative p - y."""
    p = exp(z)
    excess = (y * (log(y) - z)).where(y > 0.0, 0.0)
    return [excess - y + p, p - y]


def _categorical_log_loss_of(z: Number, y: Number, most: Number, total: Number) -> list[Any]:
    """``-sum of y log p`` with p = softmax(z); its derivative p - y.

    In logits: ``log(sum of exp(z - m)) + m - z`` where y is 1, m the largest logit.
    """
    below = z - most
    p = exp_nonpositive(below) / total
    return [(log_from_one(total) - below).where(y > 0.0, 0.0), p - y, None, None]


def losses_of(loss: int, z: list[Number], y: list[Number]) -> list[list[Number]]:
    """Return what each output adds to the loss, and its derivative by the logit, of one sample."""
    pairs = list(zip(z, y, strict=True))
    if loss == CATEGORICAL_LOG_LOSS:
        most, total = z[0], z[0].like(z[0].raw(0.0))
        for value in z[1:]:
            most = value.where(most < value, most)
        for value in z:
            total = total + exp_nonpositive(value - most)
        return [_categorical_log_loss_of(*pair, most, total)[:2] for pair in pairs]
    if loss == HALF_SQUARED_ERROR:
        half = z[0].like(z[0].raw(0.5 / len(z)))
        return [_half_squared_error_of(*pair, half) for pair in pairs]
    formula = {
        BINARY_LOG_LOSS: _binary_log_loss_of,
        SQUARED_ERROR: _squared_error_of,
        HALF_POISSON_DEVIANCE: _half_poisson_deviance_of,
    }[loss]
    return [formula(*pair) for pair in pairs]


_binary_log_losses = elementwise(_binary_log_loss_of)
_squared_errors = elementwise(_squared_error_of)
_half_squared_errors = elementwise(_half_squared_error_of)
_half_poisson_deviances = elementwise(_half_poisson_deviance_of)
_categorical_log_losses = elementwise(_categorical_log_loss_of)
# Of a softmax, lane by lane: the larger of two logits, the sum of exponentials, the quotient.
_larger = elementwise(lambda most, z: [z.where(most < z, most), None])
_add_exponentials = elementwise(
    lambda total, most, z: [total + exp_nonpositive(z - most), None, None]
)
_softmax = elementwise(lambda z, most, total: [exp_nonpositive(z - most) / total, None, None])


@device
def softmax_totals(panels: Any, z: int, scratch: int, n_outputs: int, width: int) -> None:
    """Write to `scratch` each lane's largest logit m and its sum of ``exp(z - m)``."""
    total = scratch + width
    for lane in range(width):
        store(panels, scratch + lane, load(panels, z + lane))
        store(panels, total + lane, cast(0, panels))
    for row in range(z + width, z + n_outputs * width, width):
        _larger((panels, panels), (scratch, row), width, ())
    for row in range(z, z + n_outputs * width, width):
        _add_exponentials((panels, panels, panels), (total, scratch, row), width, ())


@device
def apply_softmax(panels: Any, z: int, scratch: int, n_outputs: int, width: int) -> None:
    """Replace the logits of one panel by their softmax over the units."""
    softmax_totals(panels, z, scratch, n_outputs, width)
    for row in range(z, z + n_outputs * width, width):
        _softmax((panels, panels, panels), (row, scratch, scratch + width), width, ())


@device
def _categorical_log_loss(
    panels: Any, z: int, delta: int, scratch: int, n_outputs: int, width: int
) -> None:
    softmax_totals(panels, z, scratch, n_outputs, width)
    for row in range(0, n_outputs * width, width):
        _categorical_log_losses(
            (panels, panels, panels, panels), (z + row, delta + row, scratch, scratch + width),
            width, (),
        )  # fmt: skip
