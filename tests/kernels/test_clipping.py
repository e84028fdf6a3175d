"""Clipping of gradients by their norm, over all parameters and the whole mini-batch."""

from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from fastnet import kernels

from .. import reference
from .._support.pairs import every_pair
from .._support.training import (
    BLOCKS,
    LOSSES,
    PANELS,
    ROWS,
    SMOOTH_SOLVERS,
    SOLVERS,
    WAYS,
    Way,
    assert_follows_its_twin,
    assert_same_bits,
    assert_same_training,
    dtypes,
    every_solver,
    gradient_of,
    in_panels,
    problem,
    smooth_solvers,
    trained,
    trained_in_every_form,
)
from ..reference import assert_close

# Rows that are padded are in the last.
NETWORKS = [(3, 2), (4, 5, 3), (1, 128, 2)]
WEIGHTS = np.random.default_rng(0).uniform(0.1, 3, 230)

# Each dtype has all pairs: the parallel form is compiled for one alone (`Way.forms`).
AXES: dict[str, dict[str, Any]] = {
    "sizes": {str(sizes): sizes for sizes in NETWORKS},
    "way": WAYS,
    # In one piece, and in super-blocks that fill mini-batches and that do not.
    "super_block": {"one piece": 0, "1 panel": 1, "2 panels": 2},
}


@dtypes
@every_pair(**AXES, loss=LOSSES)
def test_long_gradients_get_the_norm_that_is_the_limit(
    dtype: Any, sizes: Any, way: Way, loss: int, super_block: int
) -> None:
    arguments = problem(sizes, dtype, n_samples=150, loss=loss, alpha=3.0)
    whole = gradient_of(trained_in_every_form(way, arguments, super_block=super_block))
    norm = np.linalg.norm(whole.astype(float))
    for limit in (0.01 * norm, 0.9 * norm):
        arguments["hyper"][kernels.update.MAX_GRAD_NORM] = limit
        clipped = gradient_of(trained_in_every_form(way, arguments, super_block=super_block))
        assert_allclose(np.linalg.norm(clipped.astype(float)), limit, rtol=reference.RTOL[dtype])
        assert_close(clipped, whole.astype(float) * (limit / norm), dtype)


@dtypes
@every_pair(**AXES, solver=SOLVERS)
def test_short_gradients_are_left_alone(
    dtype: Any, sizes: Any, way: Way, solver: int, super_block: int
) -> None:
    arguments = problem(
        sizes, dtype, n_samples=100, batch_size=70, solver=solver, alpha=0.3, max_grad_norm=1e6
    )
    actual = trained_in_every_form(way, arguments, super_block=super_block)
    unlimited = problem(sizes, dtype, n_samples=100, batch_size=70, solver=solver, alpha=0.3)
    expected = trained_in_every_form(way, unlimited, super_block=super_block)
    if solver == kernels.GRADIENT:
        assert_array_equal(gradient_of(actual), gradient_of(expected))
    # What else is left there are sums, and means where they may have to be clipped.
    assert_same_bits(actual | {"grad": expected["grad"]}, expected)


@dtypes
@every_pair(sizes=AXES["sizes"], solver=SMOOTH_SOLVERS)
def test_limit_of_a_single_sample(dtype: Any, sizes: Any, solver: int) -> None:
    """Where there is a limit, plain descent goes another way: by a gradient."""
    arguments = problem(sizes, dtype, n_samples=30, batch_size=1, solver=solver, alpha=0.3)
    limited = problem(
        sizes, dtype, n_samples=30, batch_size=1, solver=solver, alpha=0.3, max_grad_norm=1e6
    )
    expected = trained(kernels.train_rows, ROWS.layout(arguments))
    assert_same_training(trained(kernels.train_rows, ROWS.layout(limited)), expected, scale=5)
    limited["hyper"][kernels.update.MAX_GRAD_NORM] = 0.5
    assert_follows_its_twin(ROWS, limited)


@dtypes
@every_pair(
    sizes=AXES["sizes"], way=WAYS, solver=SMOOTH_SOLVERS,
    weights={"no weights": WEIGHTS[:0], "weights": WEIGHTS},
)  # fmt: skip
def test_training_follows_its_twin(
    dtype: Any, sizes: Any, way: Way, solver: int, weights: Any
) -> None:
    for batch_size, max_grad_norm in ((10, 0.5), (20, 0.3), (97, 0.01)):
        arguments = problem(
            sizes, dtype, n_samples=97, batch_size=batch_size, solver=solver, alpha=0.3,
            rate=0.01, max_grad_norm=max_grad_norm, weights=weights[:97], shuffled=True,
        )  # fmt: skip
        assert_follows_its_twin(way, arguments)


@dtypes
@every_pair(
    way={"panels": PANELS, "blocks": BLOCKS}, super_block=AXES["super_block"],
    solver=SMOOTH_SOLVERS,
)  # fmt: skip
def test_several_super_blocks_follow_the_twin(
    dtype: Any, way: Way, solver: int, super_block: int
) -> None:
    arguments = problem(
        (6, 11, 3), dtype, n_samples=230, batch_size=150, solver=solver, alpha=0.2, rate=0.01,
        loss=kernels.CATEGORICAL_LOG_LOSS, max_grad_norm=0.1, weights=WEIGHTS,
    )  # fmt: skip
    assert_follows_its_twin(way, arguments, super_block=super_block)


@dtypes
@smooth_solvers
def test_wide_layers_follow_the_twin(dtype: Any, solver: int) -> None:
    # Many strips, shared unevenly.
    arguments = problem(
        (1_100, 37, 3), dtype, n_samples=90, batch_size=50, solver=solver, alpha=0.2,
        rate=0.01, max_grad_norm=0.1,
    )  # fmt: skip
    assert_follows_its_twin(PANELS, arguments)


@dtypes
@every_solver
def test_more_threads_than_strips_is_fine(dtype: Any, solver: int) -> None:
    arguments = problem((1, 1), dtype, n_samples=40, solver=solver, max_grad_norm=0.01)
    expected = trained(kernels.train_batches.serial, in_panels(arguments))
    for form, _ in PANELS.forms(arguments):
        assert_same_bits(trained(form, in_panels(arguments, n_threads=8)), expected)


@dtypes
@every_pair(way=WAYS, loss=LOSSES)
def test_the_loss_is_that_of_unclipped_training(dtype: Any, way: Way, loss: int) -> None:
    """Of one mini-batch: it is worked out before the step, penalty included."""
    arguments = problem((4, 5, 3), dtype, n_samples=90, loss=loss, alpha=2.0)
    limited = problem((4, 5, 3), dtype, n_samples=90, loss=loss, alpha=2.0, max_grad_norm=1e-3)
    expected = trained_in_every_form(way, arguments)["total_loss"]
    assert_array_equal(trained_in_every_form(way, limited)["total_loss"], expected)


@dtypes
@every_pair(way=WAYS, solver=SOLVERS)
def test_no_gradient_at_all(dtype: Any, way: Way, solver: int) -> None:
    """Saturated outputs that are right: nothing to clip, and nothing divided by it."""
    arguments = problem((2, 1), dtype, n_samples=50, solver=solver, max_grad_norm=1.0)
    arguments["params"][:] = 0
    arguments["params"][2] = -1e4
    arguments["Y"][:] = 0
    result = trained_in_every_form(way, arguments)
    assert_array_equal(result["params"], arguments["params"])
    assert_array_equal(result["total_loss"], 0)
