"""Training: loss, gradient and every solver's path, in panels, in blocks and in rows."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import optimize

from fastnet import kernels

from .. import reference
from .._support.training import (
    BLOCKS,
    PANELS,
    ROWS,
    Arguments,
    Way,
    assert_follows_its_twin,
    assert_gradient_is_exact,
    assert_same_bits,
    assert_same_training,
    dtypes,
    every_loss,
    every_solver,
    every_way,
    gradient_of,
    in_panels,
    in_rows,
    problem,
    smooth_solvers,
    trained,
    trained_in_every_form,
)
from ..reference import Array, assert_close

pytestmark = pytest.mark.thorough

planning = kernels.plan

# No hidden layer to three; deltas that are transposed, and rows that are padded.
NETWORKS = [(3, 2), (4, 5, 3), (2, 3, 4, 3), (3, 4, 2, 3, 2), (3, 20, 2), (1, 128, 2)]

networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
penalties = pytest.mark.parametrize("alpha", [0.0, 0.3])


@dtypes
@networks
@intercepts
@every_loss
@pytest.mark.parametrize("way", [PANELS, ROWS], ids=["panels", "rows"])
def test_loss_and_gradient_are_exact(
    dtype: Any, sizes: Any, fit_intercept: bool, loss: int, way: Way
) -> None:
    # Less than a panel, some panels and a part, and exactly two panels of either dtype.
    for n_samples in (1, 5, 37, 64):
        arguments = problem(
            sizes, dtype, n_samples=n_samples, fit_intercept=fit_intercept, loss=loss
        )
        result = trained_in_every_form(way, arguments)
        assert_gradient_is_exact(sizes, fit_intercept, result)


@every_loss
def test_gradient_is_the_slope_of_the_loss(loss: int) -> None:
    # Of several outputs it is the slope of their sum, where the loss is the mean.
    n_outputs = 1 if loss == kernels.HALF_SQUARED_ERROR else 2
    arguments = problem((3, 4, n_outputs), np.float64, n_samples=21, loss=loss, alpha=0.5)

    def at(params: Array) -> Arguments:
        return trained(kernels.train_batches.serial, in_panels(arguments | {"params": params}))

    def loss_at(params: Array) -> float:
        return float(at(params)["total_loss"][0]) / 21

    def gradient_at(params: Array) -> Array:
        return at(params)["grad"]

    error = optimize.check_grad(loss_at, gradient_at, arguments["params"])
    assert error < 1e-6 * np.linalg.norm(gradient_at(arguments["params"]))


@dtypes
@networks
@every_loss
def test_gradient_of_blocks_is_exact(dtype: Any, sizes: Any, loss: int) -> None:
    for n_samples, n_blocks, super_block in ((1, 1, 0), (5, 4, 0), (150, 2, 0), (150, 4, 3)):
        arguments = problem(sizes, dtype, n_samples=n_samples, loss=loss)
        result = trained_in_every_form(
            BLOCKS, arguments, n_blocks=n_blocks, super_block=super_block
        )
        assert_gradient_is_exact(sizes, True, result)


@dtypes
@networks
@smooth_solvers
@penalties
def test_blocks_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size, n_blocks in ((10, 1), (40, 2), (97, 4)):
        arguments = problem(
            sizes, dtype, n_samples=97, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        assert_follows_its_twin(BLOCKS, arguments, n_blocks=n_blocks)


@dtypes
@networks
@smooth_solvers
@penalties
def test_panels_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size in (10, 40, 97):
        arguments = problem(
            sizes, dtype, n_samples=97, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        assert_follows_its_twin(PANELS, arguments)


@dtypes
@networks
@smooth_solvers
@penalties
def test_rows_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size in (1, 3, 20):
        arguments = problem(
            sizes, dtype, n_samples=20, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        assert_follows_its_twin(ROWS, arguments)


@dtypes
@intercepts
@every_loss
@smooth_solvers
def test_rows_and_panels_agree(dtype: Any, fit_intercept: bool, loss: int, solver: int) -> None:
    for batch_size in (1, 7):
        arguments = problem(
            (5, 9, 3), dtype, n_samples=50, batch_size=batch_size, fit_intercept=fit_intercept,
            loss=loss, solver=solver, alpha=0.1,
        )  # fmt: skip
        panels = trained(kernels.train_batches.serial, in_panels(arguments))
        rows = trained(kernels.train_rows, in_rows(arguments))
        assert_same_training(rows, panels, scale=5)


@dtypes
@smooth_solvers
@pytest.mark.parametrize("super_block", [1, 2, 3])
def test_super_blocks_change_the_result_by_rounding_only(
    dtype: Any, solver: int, super_block: int
) -> None:
    arguments = problem(
        (6, 11, 3), dtype, n_samples=230, batch_size=150, solver=solver, alpha=0.2,
        loss=kernels.CATEGORICAL_LOG_LOSS,
    )  # fmt: skip
    assert_follows_its_twin(PANELS, arguments, super_block=super_block)


@dtypes
@smooth_solvers
def test_wide_layers_follow_the_reference(dtype: Any, solver: int) -> None:
    # Strips of 32 and of 4 rows, of whole tiles and of remainders.
    arguments = problem(
        (1_100, 37, 3), dtype, n_samples=90, batch_size=50, solver=solver, alpha=0.2, rate=0.01
    )
    assert_follows_its_twin(PANELS, arguments)


@dtypes
@pytest.mark.parametrize("max_grad_norm", [np.inf, 0.1])
def test_bits_do_not_depend_on_how_work_is_cut(dtype: Any, max_grad_norm: float) -> None:
    # The parameters outgrow a cache: panels are taken together where a block has several.
    arguments = problem(
        (600, 500, 3), dtype, n_samples=200, batch_size=150, solver=kernels.ADAM, alpha=0.2,
        max_grad_norm=max_grad_norm,
    )  # fmt: skip
    expected = trained(kernels.train_batches.serial, in_panels(arguments))
    for block_panels, n_runs in ((2, 2), (3, 5), (100, 500)):
        result = trained_in_every_form(PANELS, arguments, block_panels=block_panels, n_runs=n_runs)
        assert_same_bits(result, expected)


@dtypes
def test_planned_super_blocks_are_used(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SUPER_BLOCK_BYTES", 1)
    monkeypatch.setattr(planning, "SUPER_BLOCK_SAMPLES", 64)
    arguments = problem((4, 6, 2), dtype, n_samples=300)
    planned = in_panels(arguments)
    assert planned["panel_losses"].size * kernels.panel_lanes(dtype) == 64
    expected = trained(reference.train_batches, in_panels(arguments))
    assert_same_training(trained(kernels.train_batches.serial, planned), expected)


@dtypes
def test_more_threads_than_strips_is_fine(dtype: Any) -> None:
    arguments = problem((1, 1), dtype, n_samples=40, solver=kernels.SGD)
    expected = trained(kernels.train_batches.serial, in_panels(arguments))
    for form, _ in PANELS.forms(arguments):
        assert_same_bits(trained(form, in_panels(arguments, n_threads=8)), expected)


@dtypes
@every_way
@every_solver
def test_runs_of_batches_add_up_to_an_epoch(dtype: Any, way: Way, solver: int) -> None:
    arguments = problem((3, 5, 2), dtype, n_samples=100, batch_size=20, solver=solver)
    form, _ = next(way.forms(arguments))
    whole = trained(form, way.layout(arguments))
    pieces = way.layout(arguments)
    for first, last in ((0, 40), (40, 80), (80, 100)):
        trained(form, pieces | {"first_sample": first, "last_sample": last})
    assert_same_bits(pieces, whole)


@dtypes
@every_way
def test_biases_are_not_penalised(dtype: Any, way: Way) -> None:
    arguments = problem((3, 4, 2), dtype, n_samples=30, alpha=0.0)
    penalised = arguments | {"hyper": kernels.hyper_vector(0.1, 3.0)}
    form, _ = next(way.forms(arguments))
    pairs = zip(
        *(
            reference.split_parameters((3, 4, 2), True, vector)
            for vector in (
                gradient_of(trained(form, way.layout(arguments))),
                gradient_of(trained(form, way.layout(penalised))),
                arguments["params"],
            )
        ),
        strict=True,
    )
    for (weight, bias), (weight_too, bias_too), (value, _) in pairs:
        assert_array_equal(bias_too, bias)
        assert_close(weight_too, weight + 3.0 * value / 30, dtype)


@dtypes
@every_way
def test_inputs_are_left_alone(dtype: Any, way: Way) -> None:
    arguments = problem(
        (3, 4, 2), dtype, n_samples=50, batch_size=20, solver=kernels.ADAM, shuffled=True,
        weights=np.linspace(0.5, 2, 50), max_grad_norm=0.1,
    )  # fmt: skip
    before = way.layout(arguments)
    *_, (form, _) = way.forms(arguments)
    result = trained(form, way.layout(arguments))
    for name in ("X", "indices", "indptr", "Y", "weights", "order", "plan", "hyper"):
        assert_array_equal(result[name], before[name])


@dtypes
def test_used_workspace_gives_the_bits_of_a_new_one(dtype: Any) -> None:
    arguments = problem(
        (3, 4, 2), dtype, n_samples=50, batch_size=45, solver=kernels.SGD, alpha=0.1,
        max_grad_norm=0.1,
    )  # fmt: skip
    for way in (PANELS, BLOCKS):
        first = trained(way.kernel.serial, way.layout(arguments))
        workspace = way.layout(arguments).keys() & {"panels", "panel_losses", "squares", "grad"}
        used = {name: first[name].copy() for name in workspace}
        again = trained(way.kernel.serial, way.layout(arguments) | used)
        assert_same_bits(again, first)
