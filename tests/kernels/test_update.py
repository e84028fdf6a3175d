"""The optimiser steps, against scikit-learn's own and against the reference."""

from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnet import kernels

from .._support import optimizers, training
from ..reference import DTYPES, Array, assert_close

update = kernels.update

pytestmark = pytest.mark.parametrize("dtype", DTYPES)

SOLVERS = {
    "sgd": kernels.SGD,
    "momentum": kernels.MOMENTUM,
    "nesterov": kernels.NESTEROV,
    "adam": kernels.ADAM,
    "rprop": kernels.RPROP,
}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
SCIKIT_LEARNS = ["sgd", "momentum", "nesterov", "adam"]

N_PARAMETERS = 53
N_STEPS = 25
RATE = 0.01


@numba.njit(error_model="numpy")
def take_step(
    solver: int, params: Array, grad: Array, state: Array, start: int, stop: int,
    alpha: float, weight: float, hyper: Array, powers: Array,
) -> None:  # fmt: skip
    """Call the two device functions of a step."""
    rate = update.step_size(solver, hyper, powers)
    update.update(solver, params, grad, state, start, stop, alpha, weight, rate, hyper)


def draw(dtype: Any) -> tuple[Array, Array]:
    """Return parameters and the gradients of all steps, of very different sizes."""
    rng = np.random.default_rng(0)
    scales = 10 ** rng.uniform(-3, 1, N_PARAMETERS)
    params = rng.normal(size=N_PARAMETERS).astype(dtype)
    return params, (scales * rng.normal(size=(N_STEPS, N_PARAMETERS))).astype(dtype)


def new_state(solver: int, dtype: Any) -> Array:
    """Return an optimiser's state before its first step."""
    return training.new_state(solver, N_PARAMETERS, RATE, dtype)


def hyper_parameters(alpha: float = 0.0) -> Array:
    """Return scikit-learn's defaults."""
    return kernels.hyper_vector(RATE, alpha, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8)


def test_hyper_parameters_are_where_kernels_look(dtype: Any) -> None:
    hyper = kernels.hyper_vector(
        1.0, 2.0, momentum=3.0, beta_1=4.0, beta_2=5.0, epsilon=6.0, max_grad_norm=7.0
    )
    places = [
        update.LEARNING_RATE, update.ALPHA, update.MOMENTUM_RATE,
        update.BETA_1, update.BETA_2, update.EPSILON, update.MAX_GRAD_NORM,
    ]  # fmt: skip
    assert_array_equal(hyper[places], [1, 2, 3, 4, 5, 6, 7])


def test_no_gradient_is_clipped_by_default(dtype: Any) -> None:
    assert kernels.hyper_vector(1.0, 0.0)[update.MAX_GRAD_NORM] == np.inf


def test_hyper_parameters_are_floats(dtype: Any) -> None:
    hyper = kernels.hyper_vector(1, 0, momentum=0, beta_1=0, beta_2=0, epsilon=0, max_grad_norm=1)
    assert hyper.dtype == np.float64


@pytest.mark.parametrize("solver", [SOLVERS[name] for name in SCIKIT_LEARNS], ids=SCIKIT_LEARNS)
def test_steps_are_scikit_learns(dtype: Any, solver: int) -> None:
    sklearns = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    params, gradients = draw(dtype)
    theirs = params.astype(float)
    if solver == kernels.ADAM:
        optimizer = sklearns.AdamOptimizer([theirs], learning_rate_init=RATE)
    else:
        momentum = 0.0 if solver == kernels.SGD else 0.9
        nesterov = solver == kernels.NESTEROV
        optimizer = sklearns.SGDOptimizer(
            [theirs], learning_rate_init=RATE, momentum=momentum, nesterov=nesterov
        )
    state, powers, hyper = new_state(solver, dtype), np.ones(2), hyper_parameters()
    for gradient in gradients:
        grad = gradient.copy()
        take_step(solver, params, grad, state, 0, N_PARAMETERS, 0.0, 1, hyper, powers)
        optimizer.update_params([theirs], [gradient.astype(float)])
    assert_close(params, theirs, dtype)


@every_solver
@pytest.mark.parametrize("weight", [1.0, 3.0, 200.0, 0.01, -2.5])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_steps_are_their_twins(dtype: Any, solver: int, weight: float, alpha: float) -> None:
    params, gradients = draw(dtype)
    twin = params.copy()
    hyper = hyper_parameters(alpha)
    state, powers = new_state(solver, dtype), np.ones(2)
    twin_state, twin_powers = state.copy(), np.ones(2)
    for gradient in gradients:
        grad = gradient.copy()
        take_step(solver, params, grad, state, 0, N_PARAMETERS, alpha, weight, hyper, powers)
        mean = (gradient.astype(float) + alpha * twin.astype(float)) / weight
        optimizers.optimizer_step(solver, twin, mean, twin_state, hyper, twin_powers)
    assert_close(params, twin, dtype)
    assert_close(state, twin_state, dtype)
    assert_allclose(powers, twin_powers, rtol=1e-15)


def test_gradient_is_the_mean_with_penalty_and_moves_nothing(dtype: Any) -> None:
    params, gradients = draw(dtype)
    before = params.copy()
    grad = gradients[0].copy()
    hyper, powers = hyper_parameters(), np.ones(2)
    none = new_state(kernels.GRADIENT, dtype)
    take_step(kernels.GRADIENT, params, grad, none, 0, N_PARAMETERS, 0.3, 7, hyper, powers)
    expected = (gradients[0].astype(float) + 0.3 * before.astype(float)) / 7
    assert_close(grad, expected, dtype)
    assert_array_equal(params, before)
    assert_array_equal(powers, [1, 1])


@every_solver
def test_step_stays_in_its_range(dtype: Any, solver: int) -> None:
    params, gradients = draw(dtype)
    whole, part = params.copy(), params.copy()
    whole_state, part_state = new_state(solver, dtype), new_state(solver, dtype)
    hyper = hyper_parameters()
    for gradient in gradients:
        powers = np.ones(2)
        grad = gradient.copy()
        take_step(solver, whole, grad, whole_state, 0, N_PARAMETERS, 0.1, 2, hyper, powers)
        powers = np.ones(2)
        grad = gradient.copy()
        take_step(solver, part, grad, part_state, 5, 19, 0.1, 2, hyper, powers)
    assert_array_equal(part[5:19], whole[5:19])
    assert_array_equal(np.delete(part, slice(5, 19)), np.delete(params, slice(5, 19)))
    states = part_state.reshape(-1, N_PARAMETERS)
    assert_array_equal(states[:, 5:19], whole_state.reshape(-1, N_PARAMETERS)[:, 5:19])
    unchanged = new_state(solver, dtype).reshape(-1, N_PARAMETERS)
    rest = np.delete(np.arange(N_PARAMETERS), slice(5, 19))
    assert_array_equal(states[:, rest], unchanged[:, rest])


def test_only_adam_counts_steps(dtype: Any) -> None:
    params, gradients = draw(dtype)
    hyper = hyper_parameters()
    for solver in SOLVERS.values():
        powers = np.ones(2)
        state = new_state(solver, dtype)
        for _ in range(3):
            grad = gradients[0].copy()
            take_step(solver, params, grad, state, 0, N_PARAMETERS, 0.0, 1, hyper, powers)
        expected = [0.9**3, 0.999**3] if solver == kernels.ADAM else [1, 1]
        assert_allclose(powers, expected, rtol=1e-15)
