"""The output layer: from logits and targets to the loss and its derivative.

All work in place on one panel, of `width` lanes. On entry `z` holds the logits and
`delta` the targets; on return `delta` holds dLoss/dz and `z` what each element
adds to the loss. Log-losses come from logits and are finite where the differences of
logits are.
"""

from typing import Any

from ._jit import device, inline, paste
from .intrinsics import cast, holds_labels, load, store
from .sigmoid import exp, exp_nonpositive, log, log1p_unit, log_from_one, sigmoid

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
            _binary_log_loss(panels, z, delta, n_outputs * width)
        elif loss == CATEGORICAL_LOG_LOSS:
            _categorical_log_loss(panels, z, delta, scratch, n_outputs, width)
        elif loss == SQUARED_ERROR:
            _squared_error(panels, z, delta, n_outputs * width)
    elif loss == HALF_SQUARED_ERROR:
        _half_squared_error(panels, z, delta, n_outputs, width)
    elif loss == HALF_POISSON_DEVIANCE:
        _half_poisson_deviance(panels, z, delta, n_outputs * width)
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


@inline
def _binary_log_loss(panels: Any, z: int, delta: int, size: int) -> None:
    """``-y log p - (1 - y) log(1 - p)`` with p = sigmoid(z); its derivative p - y.

    In logits: ``max(z, 0) - y z + log(1 + exp(-|z|))``.
    """
    zero = cast(0, panels)
    one = cast(1, panels)
    for i in range(size):
        logit = load(panels, z + i)
        y = load(panels, delta + i)
        e = exp_nonpositive(-abs(logit))
        p = (e if logit < zero else one) / (one + e)
        store(panels, delta + i, p - y)
        # y is 0 or 1, so only one of these is taken: right also for an infinite logit.
        miss = (zero if logit > zero else -logit) if y > zero else (logit if logit > zero else zero)
        store(panels, z + i, miss + log1p_unit(e))


@device
def softmax_totals(panels: Any, z: int, scratch: int, n_outputs: int, width: int) -> None:
    """Write to `scratch` each lane's largest logit m and its sum of ``exp(z - m)``."""
    total = scratch + width
    for lane in range(width):
        store(panels, scratch + lane, load(panels, z + lane))
        store(panels, total + lane, cast(0, panels))
    for unit in range(1, n_outputs):
        for lane in range(width):
            logit = load(panels, z + unit * width + lane)
            most = load(panels, scratch + lane)
            store(panels, scratch + lane, most if logit < most else logit)
    for unit in range(n_outputs):
        for lane in range(width):
            logit = load(panels, z + unit * width + lane)
            e = exp_nonpositive(logit - load(panels, scratch + lane))
            store(panels, total + lane, load(panels, total + lane) + e)


@device
def apply_softmax(panels: Any, z: int, scratch: int, n_outputs: int, width: int) -> None:
    """Replace the logits of one panel by their softmax over the units."""
    softmax_totals(panels, z, scratch, n_outputs, width)
    for unit in range(n_outputs):
        for lane in range(width):
            i = z + unit * width + lane
            e = exp_nonpositive(load(panels, i) - load(panels, scratch + lane))
            store(panels, i, e / load(panels, scratch + width + lane))


@device
def _categorical_log_loss(
    panels: Any, z: int, delta: int, scratch: int, n_outputs: int, width: int
) -> None:
    """``-sum of y log p`` with p = softmax(z); its derivative p - y.

    In logits: ``log(sum of exp(z - m)) + m - z`` where y is 1, m the largest logit.
    """
    softmax_totals(panels, z, scratch, n_outputs, width)
    zero = cast(0, panels)
    for unit in range(n_outputs):
        for lane in range(width):
            i = unit * width + lane
            below = load(panels, z + i) - load(panels, scratch + lane)
            total = load(panels, scratch + width + lane)
            y = load(panels, delta + i)
            store(panels, delta + i, exp_nonpositive(below) / total - y)
            store(panels, z + i, log_from_one(total) - below if y > zero else zero)


@device
def _squared_error(panels: Any, z: int, delta: int, size: int) -> None:
    """``(p - y)**2`` with p = sigmoid(z); its derivative ``2 (p - y) p (1 - p)``."""
    one = cast(1, panels)
    for i in range(size):
        p = sigmoid(load(panels, z + i))
        difference = p - load(panels, delta + i)
        store(panels, z + i, difference * difference)
        store(panels, delta + i, (difference + difference) * (p * (one - p)))


@device
def _half_squared_error(panels: Any, z: int, delta: int, n_outputs: int, width: int) -> None:
    """``(z - y)**2 / 2``, of several outputs the mean; the derivative ``z - y`` is of the sum.

    scikit-learn reports that loss, and descends along that derivative.
    """
    half = cast(0.5 / n_outputs, panels)
    for i in range(n_outputs * width):
        difference = load(panels, z + i) - load(panels, delta + i)
        store(panels, z + i, half * difference * difference)
        store(panels, delta + i, difference)


@device
def _half_poisson_deviance(panels: Any, z: int, delta: int, size: int) -> None:
    """``y log(y / p) - y + p`` with p = exp(z), where 0 log 0 is 0; its derivative p - y."""
    zero = cast(0, panels)
    for i in range(size):
        logit = load(panels, z + i)
        y = load(panels, delta + i)
        p = exp(logit)
        excess = y * (log(y) - logit) if y > zero else zero
        store(panels, z + i, excess - y + p)
        store(panels, delta + i, p - y)
