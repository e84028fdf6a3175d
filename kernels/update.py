"""Optimiser steps, element by element, on a run of the flat parameter vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import device, inline, paste
from .formula import Number, elementwise
from .intrinsics import cast, load, store
from .plan import FAN_IN, ROWS, STRIDE, WEIGHT
from .simd import sum_of_squares

# Solvers; GRADIENT changes no parameter and leaves the gradient of the mean loss.
GRADIENT = 0
SGD = 1
MOMENTUM = 2
NESTEROV = 3
ADAM = 4
RPROP = 5

# Elements of the vector of hyper-parameters (float64).
LEARNING_RATE = 0
ALPHA = 1
MOMENTUM_RATE = 2
BETA_1 = 3
BETA_2 = 4
EPSILON = 5
MAX_GRAD_NORM = 6  # infinite where gradients are not clipped

# Elements of the vector of an optimiser's own scalars (float64): Adam's beta**t.
BETA_1_POWER = 0
BETA_2_POWER = 1

# Weights, velocities and moments of a feature that is always 0 decay, to subnormal numbers in
# the end, and every product with one takes 100 cycles: 300-30-1 in batches of 8, with 270 such
# features, took 95 ms an epoch, and takes 9. So what is below so many times the smallest normal
# number (1e-26 in float32, 2e-296 in float64) is set to 0, in the first step of an epoch and every
# 32nd after it: in between a moment is multiplied by 0.9 ** 32, or 0.5 ** 32. In every step of
# small mini-batches it took 4 to 9 % of a fit.
_NOTHING = 2.0**40
SETTLED_EACH = 32

# iRPROP-: factors of a step, and its bounds (Igel and Huesken, 2003).
_LONGER = 1.2
_SHORTER = 0.5
_SHORTEST = 1e-6
_LONGEST = 50.0


def hyper_vector(
    learning_rate: float, alpha: float, *, momentum: float = 0.0,
    beta_1: float = 0.0, beta_2: float = 0.0, epsilon: float = 0.0,
    max_grad_norm: float = np.inf,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return the hyper-parameters in the order in which the kernels expect them."""
    return np.array(
        [learning_rate, alpha, momentum, beta_1, beta_2, epsilon, max_grad_norm], dtype=np.float64
    )


@paste
def step_size(solver: int, hyper: Any, powers: Any) -> float:
    """Return the learning rate of one step, and count the step.

    For Adam with the bias correction folded in, as in section 2 of Kingma & Ba (2014).
    """
    if solver != ADAM:
        return hyper[LEARNING_RATE]
    powers[BETA_1_POWER] *= hyper[BETA_1]
    powers[BETA_2_POWER] *= hyper[BETA_2]
    correction = np.sqrt(1.0 - powers[BETA_2_POWER]) / (1.0 - powers[BETA_1_POWER])
    return hyper[LEARNING_RATE] * correction


def descent(w: Number, g: Number, eta: Number) -> list[Number]:
    """Return the weight after a step of plain descent."""
    return [w - eta * g]


def momentum(w: Number, g: Number, v: Number, eta: Number, mu: Number) -> list[Number]:
    """Return the weight and its velocity after a step with momentum."""
    v = mu * v - eta * g
    return [w + v, v]


def nesterov(w: Number, g: Number, v: Number, eta: Number, mu: Number) -> list[Number]:
    """Return the weight and its velocity after a step with Nesterov's momentum."""
    step = eta * g
    v = mu * v - step
    return [w + (mu * v - step), v]


def adam(
    w: Number, g: Number, m: Number, v: Number, eta: Number,
    beta_1: Number, rest_1: Number, beta_2: Number, rest_2: Number, epsilon: Number,
) -> list[Number]:  # fmt: skip
    """Return the weight and its moments after a step: algorithm 1 of Kingma & Ba (2014)."""
    m = beta_1 * m + rest_1 * g
    v = beta_2 * v + rest_2 * (g * g)
    return [w - eta * m / (v.sqrt() + epsilon), m, v]


def _of_sums(step: Callable[..., list[Number]], n_states: int) -> Any:
    """Return a step on elements of ``(params, gradients, states)``.

    The gradients are sums over samples; the constants are alpha, 1 by the number of samples, the
    rate, and what the step wants.
    """

    def formula(w: Number, total: Number, *others: Number) -> list[Number | None]:
        states, (alpha, scale, *constants) = others[:n_states], others[n_states:]
        w, *new = step(w, (total + alpha * w) * scale, *states, *constants)
        return [w, None, *new]

    return elementwise(formula)


_mean_gradients = elementwise(lambda w, total, alpha, scale: [None, (total + alpha * w) * scale])
_descend = _of_sums(descent, 0)
_move = _of_sums(momentum, 1)
_move_ahead = _of_sums(nesterov, 1)
_move_by_moments = _of_sums(adam, 2)


@paste
def update(
    solver: int, params: Any, grad: Any, state: Any, start: int, stop: int,
    alpha: float, weight: float, rate: float, hyper: Any,
) -> None:  # fmt: skip
    """Take one step on the parameters ``start <= i < stop``.

    `grad` holds sums over samples that count `weight` together; the L2 term
    ``alpha * params`` is added before dividing by that, as scikit-learn does.
    """
    a = cast(alpha, params)
    scale = cast(1.0 / weight, params)
    eta = cast(rate, params)
    mu = cast(hyper[MOMENTUM_RATE], params)
    count = stop - start
    if solver == GRADIENT:
        _mean_gradients((params, grad), (start, start), count, (a, scale))
    elif solver == SGD:
        _descend((params, grad), (start, start), count, (a, scale, eta))
    elif solver == MOMENTUM:
        _move((params, grad, state), (start, start, start), count, (a, scale, eta, mu))
    elif solver == NESTEROV:
        _move_ahead((params, grad, state), (start, start, start), count, (a, scale, eta, mu))
    elif solver == ADAM:
        _move_by_moments(
            (params, grad, state, state), (start, start, start, params.size + start), count,
            (a, scale, eta, *adam_constants(params, hyper)),
        )  # fmt: skip
    elif solver == RPROP:
        _rprop(params, grad, state, start, stop, a, scale)


@inline
def adam_constants(params: Any, hyper: Any) -> Any:
    """Return the constants of `adam` after the rate, of the parameters' dtype."""
    return (
        cast(hyper[BETA_1], params), cast(1.0 - hyper[BETA_1], params),
        cast(hyper[BETA_2], params), cast(1.0 - hyper[BETA_2], params),
        cast(hyper[EPSILON], params),
    )  # fmt: skip


@device
def _rprop(
    params: Any, grad: Any, state: Any, start: int, stop: int, alpha: Any, scale: Any
) -> None:
    """Take a step of iRPROP-; `state` holds all lengths of steps, then all last gradients.

    Igel and Huesken, "Empirical evaluation of the improved Rprop learning algorithms",
    Neurocomputing 50, 2003: where a derivative changed its sign, the step is halved and
    left out, and the derivative forgotten.
    """
    zero = cast(0, params)
    last = params.size
    for i in range(start, stop):
        g = (load(grad, i) + alpha * load(params, i)) * scale
        # Signs, not the product: that of two small numbers would be 0.
        previous = load(state, last + i)
        step = load(state, i)
        if (g > zero and previous > zero) or (g < zero and previous < zero):
            step = min(step * cast(_LONGER, params), cast(_LONGEST, params))
        elif (g > zero and previous < zero) or (g < zero and previous > zero):
            step = max(step * cast(_SHORTER, params), cast(_SHORTEST, params))
            g = zero
        store(state, i, step)
        store(state, last + i, g)
        move = -step if g > zero else (step if g < zero else zero)
        store(params, i, load(params, i) + move)


@inline
def settles(first: int, n_batch: int) -> bool:
    """Return whether `settle` is due in the step of a mini-batch.

    `first` counts the samples of the epoch before it. A last mini-batch of fewer samples may be
    settled out of turn.
    """
    return (first // n_batch) % SETTLED_EACH == 0


@device
def settle(solver: int, params: Any, state: Any, start: int, stop: int) -> None:
    """Set to 0 what has decayed to nothing, of the parameters ``start <= i < stop``."""
    if solver in (GRADIENT, RPROP):
        return
    tiny = np.finfo(params.dtype).tiny
    nothing = cast(_NOTHING * tiny, params)
    _clear(params, start, stop, nothing)
    if solver != SGD:
        _clear(state, start, stop, nothing)
    if solver == ADAM:
        # A small second moment matters beside a small epsilon, unless the first is 0.
        least = cast(4.0 * tiny, params)
        zero = cast(0.0, params)
        for i in range(start, stop):
            v = load(state, params.size + i)
            is_nothing = v < least and load(state, i) == zero
            store(state, params.size + i, zero if is_nothing else v)


@inline
def _clear(values: Any, start: int, stop: int, nothing: Any) -> None:
    for i in range(start, stop):
        value = load(values, i)
        store(values, i, cast(0.0, values) if abs(value) < nothing else value)


@paste
def clip_divisor(square: float, hyper: Any) -> float:
    """Return by what to divide a gradient whose squared norm is given, at least 1.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013.
    """
    return max(1.0, np.sqrt(square) / hyper[MAX_GRAD_NORM])


@paste
def penalty(plan: Any, params: Any, alpha: float) -> float:
    """Return the L2 term of the loss, summed over samples: of weights, not of biases."""
    squares = 0.0
    if alpha > 0.0:
        for i in range(plan.shape[0]):
            n_weights = plan[i, FAN_IN] * plan[i, STRIDE]
            squares += sum_of_squares(params, plan[i, WEIGHT], n_weights)
    return 0.5 * alpha * squares


@paste
def update_network(
    plan: Any, solver: int, params: Any, grad: Any, state: Any,
    weight: float, rate: float, hyper: Any,
) -> None:  # fmt: skip
    """Take one step on all parameters.

    To clip the gradient, its mean is worked out first, and the step taken with that.
    """
    clips = hyper[MAX_GRAD_NORM] < np.inf
    code = GRADIENT if clips else solver
    alpha = hyper[ALPHA]
    divisor = weight
    for turn in range(2 if clips else 1):
        if turn == 1:
            code = solver
            alpha = 0.0
            divisor = clip_divisor(sum_of_squares(grad, 0, params.size), hyper)
        for i in range(plan.shape[0]):
            start = plan[i, WEIGHT]
            biases = start + plan[i, FAN_IN] * plan[i, STRIDE]
            stop = start + plan[i, ROWS] * plan[i, STRIDE]
            # The penalty is on weights, not on the row of biases. In two calls in place of
            # this loop, a step of Adam on one sample took 4 to 8 % longer.
            for part in range(2):
                low = start if part == 0 else biases
                high = biases if part == 0 else stop
                a = alpha if part == 0 else 0.0
                update(code, params, grad, state, low, high, a, divisor, rate, hyper)
