"""Several epochs in one call: the bits of a call for each."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from .._support.training import (
    SMOOTH_SOLVERS,
    Arguments,
    Way,
    assert_follows_its_twin,
    dtypes,
    every_way,
    n_trained,
    problem,
    trained,
    trained_in_every_form,
)

pytestmark = pytest.mark.thorough

N_SAMPLES = 70
N_EPOCHS = 3


def epochs(dtype: Any, **options: Any) -> Arguments:
    """Return a problem of three epochs, each in an order of its own."""
    arguments = problem((3, 5, 2), dtype, n_samples=N_SAMPLES, **options)
    rng = np.random.default_rng(1)
    orders = [rng.permutation(N_SAMPLES) for _ in range(N_EPOCHS)]
    return arguments | {
        "order": np.concatenate(orders),
        "last_sample": N_EPOCHS * N_SAMPLES,
        "total_loss": np.zeros(N_EPOCHS),
    }


def one_by_one(way: Way, arguments: Arguments) -> Arguments:
    """Return what a call for each epoch comes to."""
    losses = []
    for order in arguments["order"].reshape(N_EPOCHS, -1):
        one = {"order": order, "last_sample": N_SAMPLES, "total_loss": np.zeros(1)}
        kernel = way.kernel.serial if isinstance(way.kernel, kernels.Kernel) else way.kernel
        result = trained(kernel, way.layout(arguments | one))
        losses.append(result["total_loss"][0])
        arguments = arguments | {name: result[name] for name in ("params", "state", "powers")}
    return arguments | {"total_loss": np.array(losses)}


@dtypes
@every_way
@pytest.mark.parametrize("solver", SMOOTH_SOLVERS.values(), ids=SMOOTH_SOLVERS.keys())
@pytest.mark.parametrize("batch_size", [1, 11, 64, 70])
def test_same_bits_as_a_call_for_each(dtype: Any, way: Way, solver: int, batch_size: int) -> None:
    arguments = epochs(dtype, solver=solver, batch_size=batch_size, alpha=0.1)
    expected = one_by_one(way, arguments)
    actual = trained_in_every_form(way, arguments)
    for name in ("params", "state", "powers", "total_loss"):
        assert_array_equal(actual[name], expected[name])


@dtypes
@every_way
def test_kernel_follows_its_twin(dtype: Any, way: Way) -> None:
    assert_follows_its_twin(way, epochs(dtype, solver=kernels.ADAM, batch_size=11))


@every_way
@pytest.mark.parametrize("cut", [22, N_SAMPLES, N_SAMPLES + 11, 2 * N_SAMPLES + 11])
def test_a_call_may_begin_and_end_within_an_epoch(way: Way, cut: int) -> None:
    arguments = epochs(np.float32, solver=kernels.ADAM, batch_size=11)
    kernel = way.kernel.serial if isinstance(way.kernel, kernels.Kernel) else way.kernel
    whole = trained(kernel, way.layout(arguments))
    first = trained(kernel, way.layout(arguments | {"last_sample": cut}))
    kept = {name: first[name] for name in ("params", "state", "powers", "total_loss")}
    second = trained(kernel, way.layout(arguments | kept | {"first_sample": cut}))
    for name in ("params", "state", "powers", "total_loss"):
        assert_array_equal(second[name], whole[name])


@every_way
def test_what_is_not_finite_ends_the_call_in_a_later_epoch(way: Way) -> None:
    arguments = epochs(np.float32, solver=kernels.SGD, batch_size=10)
    order = arguments["order"].reshape(N_EPOCHS, -1)
    # One row that only the second epoch has.
    order[order == 5] = 6
    order[1, 33] = 5
    arguments["X"][5] = np.nan
    kernel = way.kernel.serial if isinstance(way.kernel, kernels.Kernel) else way.kernel
    laid_out = way.layout(arguments)
    assert n_trained(kernel, laid_out) == N_SAMPLES + 30
    assert laid_out["total_loss"][0] > 0 == laid_out["total_loss"][2]
    assert np.isfinite(laid_out["params"]).all()
