"""The steps of the optimisers, slowly: from formulas of scikit-learn and of papers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels

update = kernels.update

Array = npt.NDArray[Any]


def clip(grad: Array, max_norm: float) -> Array:
    """Return a gradient that is no longer than `max_norm`, in the same direction.

    Algorithm 1 of Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent
    neural networks", ICML 2013.
    """
    norm = np.linalg.norm(grad)
    return grad * (max_norm / norm) if norm > max_norm else grad


def settle(solver: int, params: Array, state: Array) -> None:
    """Set to 0 what is far below any number that matters, so that nothing stays subnormal."""
    if solver in (kernels.GRADIENT, kernels.RPROP):
        return
    tiny = np.finfo(params.dtype).tiny
    first, second = state[: params.size], state[params.size :]
    for values in (params, first):
        values[np.abs(values) < 2.0**40 * tiny] = 0.0
    second[(second < 4 * tiny) & (first[: second.size] == 0.0)] = 0.0


def rprop_step(params: Array, grad: Array, steps: Array, previous: Array) -> None:
    """Take a step of iRPROP-, one parameter after the other.

    Section 2.4 of Igel and Huesken, "Empirical evaluation of the improved Rprop learning
    algorithms", Neurocomputing 50, 2003, with the smallest step of Riedmiller's Rprop.
    """
    for i, slope in enumerate(grad):
        turn = np.sign(previous[i]) * np.sign(slope)
        if turn > 0:
            steps[i] = min(float(steps[i]) * 1.2, 50.0)
        elif turn < 0:
            steps[i] = max(float(steps[i]) * 0.5, 1e-6)
            slope = 0.0
        params[i] -= np.sign(slope) * steps[i]
        previous[i] = slope


def optimizer_step(
    solver: int, params: Array, grad: Array, state: Array, hyper: Array, powers: Array
) -> None:
    """Change parameters and state in place by scikit-learn's formulas."""
    rate = hyper[update.LEARNING_RATE]
    momentum = hyper[update.MOMENTUM_RATE]
    if solver == kernels.SGD:
        params[:] = params - rate * grad
    elif solver in (kernels.MOMENTUM, kernels.NESTEROV):
        velocity = momentum * state.astype(float) - rate * grad
        nesterov = solver == kernels.NESTEROV
        params[:] = params + (momentum * velocity - rate * grad if nesterov else velocity)
        state[:] = velocity
    elif solver == kernels.RPROP:
        rprop_step(params, grad, state[: params.size], state[params.size :])
    elif solver == kernels.ADAM:
        beta_1, beta_2 = hyper[update.BETA_1], hyper[update.BETA_2]
        powers *= beta_1, beta_2
        first, second = state[: params.size], state[params.size :]
        m = beta_1 * first.astype(float) + (1 - beta_1) * grad
        v = beta_2 * second.astype(float) + (1 - beta_2) * grad**2
        rate *= np.sqrt(1 - powers[update.BETA_2_POWER]) / (1 - powers[update.BETA_1_POWER])
        params[:] = params - rate * m / (np.sqrt(v) + hyper[update.EPSILON])
        first[:] = m
        second[:] = v
