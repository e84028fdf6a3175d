"""iRPROP-: steps by the signs of slopes, against the paper's algorithm."""

from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from .._support.optimizers import optimizer_step
from .._support.training import (
    Arguments,
    Way,
    assert_same_training,
    copied,
    dtypes,
    every_loss,
    every_way,
    new_state,
    problem,
    trained,
    trained_in_every_form,
)
from ..reference import Array, assert_close

pytestmark = pytest.mark.thorough

update = kernels.update

RATE = 0.1
HYPER = kernels.hyper_vector(RATE, 0.0)


@numba.njit(error_model="numpy")
def take_step(params: Array, grad: Array, state: Array, alpha: float, hyper: Array) -> None:
    """Call the device function on all parameters."""
    update.update(update.RPROP, params, grad, state, 0, params.size, alpha, 1.0, hyper[0], hyper)


def path(slopes: list[float], dtype: Any, start: float = RATE) -> tuple[Array, Array, Array]:
    """Return the parameter, the length of its step and its last slope after each slope."""
    params = np.zeros(1, dtype)
    state = np.array([start, 0], dtype)
    history = []
    for slope in slopes:
        take_step(params, np.array([slope], dtype), state, 0.0, HYPER)
        history.append([params[0], *state])
    places, steps, last = np.array(history, dtype).T
    return places, steps, last


@dtypes
def test_written_out(dtype: Any) -> None:
    """Longer steps on the way; where the slope turns, half a step, and none taken."""
    places, steps, last = path([1.0, 0.5, 2.0, -1.0, -1.0, -3.0, 0.0, -1.0], dtype)
    lengths = np.array([0.1, 0.12, 0.144, 0.072, 0.072, 0.0864, 0.0864, 0.0864])
    assert_close(steps, lengths, dtype)
    moves = lengths * [-1, -1, -1, 0, 1, 1, 0, 1]
    assert_close(places, np.cumsum(moves), dtype)
    assert_array_equal(last, [1.0, 0.5, 2.0, 0.0, -1.0, -3.0, 0.0, -1.0])


@dtypes
def test_steps_have_bounds(dtype: Any) -> None:
    _, steps, _ = path([1.0] * 60, dtype)
    assert steps[-1] == dtype(50)
    _, steps, _ = path([(-1.0) ** (i // 2) for i in range(100)], dtype)
    assert steps[-1] == dtype(1e-6)


@dtypes
def test_only_signs_of_slopes_matter(dtype: Any) -> None:
    """Products of slopes would underflow to 0, and overflow."""
    signs = [1, 1, -1, -1, 1, 1, 1, -1]
    expected = path([float(sign) for sign in signs], dtype)
    info = np.finfo(dtype)
    for size in (float(info.smallest_subnormal), float(info.tiny), float(info.max)):
        actual = path([sign * size for sign in signs], dtype)
        assert_array_equal(actual[:2], expected[:2])


@dtypes
def test_long_paths_are_the_papers(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    params = rng.normal(size=53).astype(dtype)
    state = new_state(kernels.RPROP, 53, RATE, dtype)
    twin, twin_state = params.copy(), state.copy()
    # Zeros as well, and each sign often enough in a row to reach the longest step.
    for slopes in rng.normal(size=(300, 53)) + 1.5 * np.sin(np.arange(300) / 30)[:, None]:
        grad = np.where(np.abs(slopes) < 0.05, 0, slopes).astype(dtype)
        optimizer_step(kernels.RPROP, twin, grad.astype(float), twin_state, HYPER, np.ones(2))
        take_step(params, grad, state, 0.0, HYPER)
    assert_close(params, twin, dtype)
    assert_close(state, twin_state, dtype)


def step_by_step(way: Way, arguments: Arguments) -> None:
    """Train batch by batch; assert that each step is the twin's from the same place."""
    steps = 0
    for first in range(0, arguments["last_sample"], arguments["batch_size"]):
        last = min(first + arguments["batch_size"], arguments["last_sample"])
        here = arguments | {"first_sample": first, "last_sample": last}
        here["state"] = here["state"].copy()
        result = trained_in_every_form(way, here)
        assert_same_training(result, trained(way.twin, way.layout(here)), scale=5)
        arguments = arguments | {name: result[name] for name in ("params", "state")}
        steps += 1
    assert steps > 1


@dtypes
@every_way
@every_loss
@pytest.mark.parametrize("sizes", [(3, 2), (4, 5, 3), (1, 128, 2)], ids=str)
def test_each_step_of_training_is_its_twins(dtype: Any, way: Way, loss: int, sizes: Any) -> None:
    for batch_size in (10, 40):
        step_by_step(
            way,
            problem(
                sizes, dtype, n_samples=97, batch_size=batch_size, loss=loss,
                solver=kernels.RPROP, alpha=0.3, weights=np.linspace(0.5, 2, 97), shuffled=True,
            ),
        )  # fmt: skip


@dtypes
@every_way
def test_clipping_changes_nothing(dtype: Any, way: Way) -> None:
    """But the slopes it remembers: their signs are the same."""
    arguments = problem(
        (4, 5, 3), dtype, n_samples=97, batch_size=20, solver=kernels.RPROP, alpha=0.3
    )
    limited = copied(arguments)
    limited["hyper"][update.MAX_GRAD_NORM] = 1e-3
    expected = trained_in_every_form(way, arguments)
    actual = trained_in_every_form(way, limited)
    n = len(arguments["params"])
    assert_array_equal(actual["params"], expected["params"])
    assert_array_equal(actual["state"][:n], expected["state"][:n])
    assert_array_equal(np.sign(actual["state"][n:]), np.sign(expected["state"][n:]))
    assert np.linalg.norm(actual["state"][n:]) < np.linalg.norm(expected["state"][n:])


@dtypes
@every_way
def test_full_batches_reach_a_minimum(dtype: Any, way: Way) -> None:
    """Of a convex function, which logistic regression with a penalty is."""
    arguments = problem((3, 1), dtype, n_samples=60, solver=kernels.RPROP, alpha=0.5, rate=0.01)
    form, _ = next(way.forms(arguments))
    layout = way.layout(arguments)
    for _ in range(120):
        trained(form, layout)
    gradient = problem((3, 1), dtype, n_samples=60, alpha=0.5) | {"params": layout["params"]}
    slopes = trained(form, way.layout(gradient))["grad"][: layout["params"].size]
    assert np.abs(slopes).max() < 1e-4
