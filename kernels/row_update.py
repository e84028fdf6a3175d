"""Steps of the optimisers on one sample, with no gradient in between.

The gradient of a layer is the product of a column, its inputs, and a row, its deltas. When it was
written to memory and read again, fits of 28-64-1 took 1.4 to 1.7 times as long with Nesterov's
momentum, and 1.15 to 1.3 times by Adam (float32, one core of an Intel Xeon, Skylake).
"""

from typing import Any

from ._jit import inline, paste
from .formula import Number
from .intrinsics import cast, fma, load, store
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, ROWS, STRIDE, WEIGHT
from .row_simd import rank_one
from .update import (
    ADAM,
    ALPHA,
    MOMENTUM,
    MOMENTUM_RATE,
    NESTEROV,
    SGD,
    adam,
    adam_constants,
    momentum,
    nesterov,
)

# Layers of so few weights are scalar code, which forwards values from store to load; masked
# vectors stall there. 2-2-1: 84 instead of 120 ns a sample.
FEW_WEIGHTS = 16


def _descent(x: Number, y: Number, w: Number, factor: Number, decay: Number) -> list[Number]:
    """Return the weight after a step of plain descent; ``factor * y`` is worked out once."""
    return [x.fma(y * factor, decay * w)]


def _by_product(step: Any, n_states: int) -> Any:
    """Return a step on a gradient that is a product."""

    def formula(x: Number, y: Number, w: Number, *others: Number) -> list[Number]:
        states, (alpha, scale, *constants) = others[:n_states], others[n_states:]
        # Plus 0, so that no gradient is -0: it has the bits of a sum over samples.
        return step(w, (x.fma(y, 0.0) + alpha * w) * scale, *states, *constants)

    return rank_one(formula)


_descend = rank_one(_descent)
_move = _by_product(momentum, 1)
_move_ahead = _by_product(nesterov, 1)
_move_by_moments = _by_product(adam, 2)


@inline
def takes_one(solver: int, n_parameters: int) -> bool:
    """Return whether a solver has a step on one sample.

    Others than plain descent have none for a network so small that scalar code is faster.
    """
    return solver == SGD or (n_parameters > FEW_WEIGHTS and solver in (MOMENTUM, NESTEROV, ADAM))


@paste
def update_by_one(
    plan: Any, solver: int, params: Any, state: Any, rows: Any, weight: float, rate: float,
    hyper: Any,
) -> None:  # fmt: skip
    """Take a step on one sample, the first of `rows`, which counts `weight`."""
    if solver == SGD:
        _descend_by_one(plan, params, rows, rate / weight, hyper[ALPHA])
    else:
        for i in range(plan.shape[0]):
            # Weights, and biases: the penalty is on weights.
            for part in range(2):
                first = 0 if part == 0 else plan[i, FAN_IN]
                count = plan[i, FAN_IN] if part == 0 else plan[i, ROWS] - plan[i, FAN_IN]
                alpha = hyper[ALPHA] if part == 0 else 0.0
                _move_by_one(
                    plan, i, solver, params, state, rows, first, count, alpha, weight, rate, hyper
                )


@inline
def _descend_by_one(plan: Any, params: Any, rows: Any, rate: float, alpha: float) -> None:
    factor = cast(-rate, params)
    keep = cast(1.0, params)
    decay = cast(1.0 - rate * alpha, params)
    for i in range(plan.shape[0]):
        fan_in = plan[i, FAN_IN]
        fan_out = plan[i, FAN_OUT]
        weight = plan[i, WEIGHT]
        stride = plan[i, STRIDE]
        a = plan[i, INPUT]
        delta = plan[i, DELTA]
        if plan[i, ROWS] * fan_out <= FEW_WEIGHTS:
            for k in range(plan[i, ROWS]):
                step = factor * load(rows, a + k)
                kept = decay if k < fan_in else keep
                for j in range(fan_out):
                    place = weight + k * stride + j
                    w = fma(step, load(rows, delta + j), kept * load(params, place))
                    store(params, place, w)
            continue
        # One unit has lanes only over its inputs.
        count, x, y, n = (1, delta, a, fan_in) if fan_out == 1 else (fan_in, a, delta, fan_out)
        _descend(count, rows, x, rows, y, n, (params,), (weight,), stride, (factor, decay))
        n_biases = plan[i, ROWS] - fan_in
        biases = weight + fan_in * stride
        _descend(
            n_biases, rows, a + fan_in, rows, delta, fan_out, (params,), (biases,), stride,
            (factor, keep),
        )  # fmt: skip


@inline
def _move_by_one(
    plan: Any, layer: int, solver: int, params: Any, state: Any, rows: Any, first: int, count: int,
    alpha: float, weight: float, rate: float, hyper: Any,
) -> None:  # fmt: skip
    """Take a step of momentum or Adam on `count` rows of a layer's matrix."""
    stride = plan[layer, STRIDE]
    start = plan[layer, WEIGHT] + first * stride
    x = plan[layer, INPUT] + first
    y = plan[layer, DELTA]
    n = plan[layer, FAN_OUT]
    if n == 1:
        x, y, n, count = y, x, count, 1
    a = cast(alpha, params)
    scale = cast(1.0 / weight, params)
    eta = cast(rate, params)
    constants = a, scale, eta, cast(hyper[MOMENTUM_RATE], params)
    if solver == MOMENTUM:
        _move(count, rows, x, rows, y, n, (params, state), (start, start), stride, constants)
    elif solver == NESTEROV:
        _move_ahead(count, rows, x, rows, y, n, (params, state), (start, start), stride, constants)
    else:
        _move_by_moments(
            count, rows, x, rows, y, n, (params, state, state),
            (start, start, params.size + start), stride,
            (a, scale, eta, *adam_constants(params, hyper)),
        )  # fmt: skip
