"""A mini-batch whose loss is not finite: training stops before its step."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from .._support.training import (
    BLOCKS,
    PANELS,
    Arguments,
    Way,
    dtypes,
    every_loss,
    every_solver,
    every_way,
    n_trained,
    problem,
    trained,
)
from ..reference import assert_close

pytestmark = pytest.mark.thorough

STATE = ("params", "state", "powers", "total_loss")


def assert_stops_before(way: Way, arguments: Arguments, count: int, **layout: int) -> None:
    """Assert that all forms stop after `count` samples, with everything as it was then."""
    form, _ = next(way.forms(arguments))
    before = way.layout(arguments | {"last_sample": count}, **layout)
    expected = trained(form, before)
    assert all(np.isfinite(expected[name]).all() for name in STATE)
    for form, n_threads in way.forms(arguments):
        result = way.layout(arguments, n_threads, **layout)
        assert n_trained(form, result) == count
        for name in STATE:
            assert_array_equal(result[name], expected[name])


@dtypes
@every_way
@every_loss
@every_solver
def test_training_stops_before_the_step(dtype: Any, way: Way, loss: int, solver: int) -> None:
    for bad in (0, 25, 59):
        for max_grad_norm in (np.inf, 0.5):
            arguments = problem(
                (3, 4, 2), dtype, n_samples=60, batch_size=10, loss=loss, solver=solver,
                alpha=0.1, max_grad_norm=max_grad_norm,
            )  # fmt: skip
            arguments["X"][bad, 1] = np.nan
            assert_stops_before(way, arguments, bad // 10 * 10)


@dtypes
@every_way
@every_loss
def test_the_twin_stops_as_well(dtype: Any, way: Way, loss: int) -> None:
    arguments = problem(
        (3, 4, 2), dtype, n_samples=60, batch_size=10, loss=loss, solver=kernels.ADAM, alpha=0.1,
        weights=np.linspace(0.5, 2, 60),
    )  # fmt: skip
    arguments["X"][25, 1] = np.nan
    form, _ = next(way.forms(arguments))
    actual, twin = way.layout(arguments), way.layout(arguments)
    assert n_trained(form, actual) == n_trained(way.twin, twin) == 20
    for name in STATE:
        assert_close(actual[name], twin[name], dtype, scale=5)


@dtypes
@every_way
@every_solver
def test_logits_that_overflow(dtype: Any, way: Way, solver: int) -> None:
    arguments = problem((3, 2), dtype, n_samples=60, batch_size=20, solver=solver)
    arguments["X"][33] = np.finfo(dtype).max
    arguments["params"][:] = np.abs(arguments["params"]) + 1
    arguments["Y"][33] = 0
    assert_stops_before(way, arguments, 20)


@dtypes
@pytest.mark.parametrize("way", [PANELS, BLOCKS], ids=["panels", "blocks"])
@every_solver
@pytest.mark.parametrize("super_block", [1, 2, 3])
def test_in_whichever_super_block_it_is(
    dtype: Any, way: Way, solver: int, super_block: int
) -> None:
    for bad in (120, 170, 199):
        arguments = problem(
            (3, 4, 2), dtype, n_samples=250, batch_size=100, solver=solver, alpha=0.1,
            max_grad_norm=0.5,
        )  # fmt: skip
        arguments["X"][bad, 1] = np.nan
        assert_stops_before(way, arguments, 100, super_block=super_block)


@dtypes
@every_way
def test_batches_that_are_passed_over_count(dtype: Any, way: Way) -> None:
    weights = np.ones(60)
    weights[:20] = 0
    arguments = problem(
        (3, 4, 2), dtype, n_samples=60, batch_size=10, solver=kernels.SGD, weights=weights
    )
    arguments["X"][45, 1] = np.nan
    assert_stops_before(way, arguments, 40)


@dtypes
@every_way
def test_a_penalty_that_overflows_ends_training(dtype: Any, way: Way) -> None:
    arguments = problem((3, 4, 2), dtype, n_samples=20, batch_size=10, alpha=1.0)
    # The logits are 0.
    arguments["params"][:] = 0
    arguments["params"][0] = np.sqrt(np.finfo(dtype).max) * 2
    arguments["X"][:] = 0
    for form, n_threads in way.forms(arguments):
        result = way.layout(arguments, n_threads)
        assert n_trained(form, result) == 0
        assert result["total_loss"][0] == 0.0
