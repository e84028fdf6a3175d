"""Optimiser steps, element by element, on a run of the flat parameter vector."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import device, inline, paste
from .intrinsics import cast, load, store
from .plan import FAN_IN, ROWS, STRIDE, WEIGHT
from .simd import sum_of_squares

# Solvers; GRADIENT changes no parameter and leaves the gradient of the mean loss.
GRADIENT = 0
SGD = 1
MOMENTUM = 2
NESTEROV = 3
ADAM = 4

# Elements of the vector of hyper-parameters (float64).
LEARNING_RATE = 0
ALPHA = 1
MOMENTUM_RATE = 2
BETA_1 = 3
BETA_2 = 4
EPSILON = 5

# Elements of the vector of an optimiser's own scalars (float64): Adam's beta**t.
BETA_1_POWER = 0
BETA_2_POWER = 1


def hyper_vector(
    learning_rate: float, alpha: float, *, momentum: float = 0.0,
    beta_1: float = 0.0, beta_2: float = 0.0, epsilon: float = 0.0,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return the hyper-parameters in the order in which the kernels expect them."""
    return np.array([learning_rate, alpha, momentum, beta_1, beta_2, epsilon], dtype=np.float64)


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


@inline
def _mean_gradient(params: Any, grad: Any, i: int, alpha: Any, scale: Any) -> Any:
    return (load(grad, i) + alpha * load(params, i)) * scale


@inline
def update(
    solver: int, params: Any, grad: Any, state: Any, start: int, stop: int,
    alpha: float, n_samples: int, rate: float, hyper: Any,
) -> None:  # fmt: skip
    """Take one step on the parameters ``start <= i < stop``.

    `grad` holds sums over `n_samples` samples; the L2 term ``alpha * params`` is added
    before dividing by their number, as scikit-learn does.
    """
    a = cast(alpha, params)
    scale = cast(1.0 / n_samples, params)
    eta = cast(rate, params)
    if solver == GRADIENT:
        for i in range(start, stop):
            store(grad, i, _mean_gradient(params, grad, i, a, scale))
    elif solver == SGD:
        for i in range(start, stop):
            g = _mean_gradient(params, grad, i, a, scale)
            store(params, i, load(params, i) - eta * g)
    elif solver == ADAM:
        _adam(params, grad, state, start, stop, a, scale, eta, hyper)
    else:
        _momentum(solver, params, grad, state, start, stop, a, scale, eta, hyper)


@device
def _momentum(
    solver: int, params: Any, grad: Any, velocity: Any, start: int, stop: int,
    alpha: Any, scale: Any, eta: Any, hyper: Any,
) -> None:  # fmt: skip
    mu = cast(hyper[MOMENTUM_RATE], params)
    for i in range(start, stop):
        step = eta * _mean_gradient(params, grad, i, alpha, scale)
        v = mu * load(velocity, i) - step
        store(velocity, i, v)
        store(params, i, load(params, i) + (mu * v - step if solver == NESTEROV else v))


@device
def _adam(
    params: Any, grad: Any, moments: Any, start: int, stop: int,
    alpha: Any, scale: Any, eta: Any, hyper: Any,
) -> None:  # fmt: skip
    """Algorithm 1 of Kingma & Ba (2014); `moments` holds all first, then all second."""
    beta_1 = cast(hyper[BETA_1], params)
    rest_1 = cast(1.0 - hyper[BETA_1], params)
    beta_2 = cast(hyper[BETA_2], params)
    rest_2 = cast(1.0 - hyper[BETA_2], params)
    epsilon = cast(hyper[EPSILON], params)
    second = params.size
    for i in range(start, stop):
        g = _mean_gradient(params, grad, i, alpha, scale)
        m = beta_1 * load(moments, i) + rest_1 * g
        v = beta_2 * load(moments, second + i) + rest_2 * (g * g)
        store(moments, i, m)
        store(moments, second + i, v)
        store(params, i, load(params, i) - eta * m / (np.sqrt(v) + epsilon))


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
    n_samples: int, rate: float, hyper: Any,
) -> None:  # fmt: skip
    """Take one step on all parameters."""
    for i in range(plan.shape[0]):
        start = plan[i, WEIGHT]
        biases = start + plan[i, FAN_IN] * plan[i, STRIDE]
        stop = start + plan[i, ROWS] * plan[i, STRIDE]
        update(solver, params, grad, state, start, biases, hyper[ALPHA], n_samples, rate, hyper)
        update(solver, params, grad, state, biases, stop, 0.0, n_samples, rate, hyper)
