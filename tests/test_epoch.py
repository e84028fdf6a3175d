"""Training: loss, gradient and every solver's path, in panels and in rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

from fastnet import kernels

from . import reference
from .reference import DTYPES, Array, assert_close, forms

planning = kernels.plan

LOSSES = {
    "binary": kernels.BINARY_LOG_LOSS,
    "categorical": kernels.CATEGORICAL_LOG_LOSS,
    "squared": kernels.SQUARED_ERROR,
}
SOLVERS = {
    "gradient": kernels.GRADIENT,
    "sgd": kernels.SGD,
    "momentum": kernels.MOMENTUM,
    "nesterov": kernels.NESTEROV,
    "adam": kernels.ADAM,
}
# No hidden layer to three; deltas that are transposed, and rows that are padded.
NETWORKS = [(3, 2), (4, 5, 3), (2, 3, 4, 3), (3, 4, 2, 3, 2), (3, 20, 2), (1, 128, 2)]

Arguments = dict[str, Any]

dtypes = pytest.mark.parametrize("dtype", DTYPES)
networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())


def problem(
    sizes: Sequence[int], dtype: Any, *, n_samples: int, batch_size: int = 0,
    fit_intercept: bool = True, loss: int = kernels.BINARY_LOG_LOSS,
    solver: int = kernels.GRADIENT, alpha: float = 0.0, rate: float = 0.1, shuffled: bool = False,
) -> Arguments:  # fmt: skip
    """Return what both training kernels take, by name; all samples, in mini-batches."""
    rng = np.random.default_rng(0)
    plan = kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype))
    n_parameters = kernels.count_parameters(plan)
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        Y = np.eye(sizes[-1], dtype=np.uint8)[rng.integers(0, sizes[-1], n_samples)]
    else:
        Y = rng.integers(0, 2, (n_samples, sizes[-1])).astype(np.uint8)
    return {
        "X": rng.normal(size=(n_samples, sizes[0])).astype(dtype),
        "Y": Y,
        "order": rng.permutation(n_samples) if shuffled else np.arange(n_samples),
        "first_sample": 0,
        "last_sample": n_samples,
        "batch_size": batch_size or n_samples,
        "plan": plan,
        "params": padded(plan, rng.normal(size=n_parameters)).astype(dtype),
        # What is there beforehand must not matter.
        "grad": padded(plan, np.full(n_parameters, np.nan)).astype(dtype),
        "state": np.zeros(2 * n_parameters, dtype)[: state_size(solver, n_parameters)],
        "loss": loss,
        "solver": solver,
        "hyper": kernels.hyper_vector(
            rate, alpha, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8
        ),
        "powers": np.ones(2),
        "total_loss": np.zeros(1),
    }


def padded(plan: Any, params: Any) -> Any:
    """Return parameters with zeros where they pad rows."""
    return reference.flatten(reference.network_layers(plan, params))


def state_size(solver: int, n_parameters: int) -> int:
    """Return how many elements an optimiser's state has."""
    return {kernels.MOMENTUM: 1, kernels.NESTEROV: 1, kernels.ADAM: 2}.get(solver, 0) * n_parameters


def copied(arguments: Arguments) -> Arguments:
    """Return a copy whose arrays a kernel may overwrite."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }


def in_panels(arguments: Arguments, n_threads: int = 1, super_block: int = 0) -> Arguments:
    """Return copied arguments for `train_batches`, working on so many panels at once."""
    plan, dtype = arguments["plan"], arguments["X"].dtype
    n_panels = super_block or kernels.super_block_panels(plan, arguments["batch_size"], dtype)
    strips = kernels.plan_strips(plan)
    return copied(arguments) | {
        "strips": strips,
        "shares": kernels.share_strips(plan, strips, n_threads),
        "panels": kernels.new_panels(plan, n_panels, kernels.panel_lanes(dtype), dtype),
        "panel_losses": np.empty(n_panels),
        "strip_squares": np.empty(len(strips)),
        "n_threads": n_threads,
    }


def in_blocks(
    arguments: Arguments, n_threads: int = 1, n_blocks: int = 4, super_block: int = 0
) -> Arguments:
    """Return copied arguments for `train_blocks`."""
    panels = in_panels(arguments, n_threads, super_block)
    for name in ("strips", "shares", "strip_squares"):
        del panels[name]
    # What is there beforehand must not matter, but where it pads rows.
    return panels | {"grad": np.tile(arguments["grad"], n_blocks)}


def in_rows(arguments: Arguments) -> Arguments:
    """Return copied arguments for `train_rows`."""
    layers = arguments["plan"]
    sizes = [*layers[:, planning.FAN_IN], layers[-1, planning.FAN_OUT]]
    fit_intercept = bool(layers[0, planning.ROWS] > layers[0, planning.FAN_IN])
    plan = kernels.plan_network(sizes, fit_intercept, 1)
    dtype = arguments["X"].dtype
    rows = kernels.new_panels(plan, arguments["batch_size"], 1, dtype)
    return copied(arguments) | {"plan": plan, "rows": rows}


def trained(form: Any, arguments: Arguments) -> Arguments:
    """Call a kernel, and return its arguments; assert that all samples were taken."""
    count = form(**arguments)
    assert count == arguments["last_sample"] - arguments["first_sample"]
    return arguments


def assert_same_training(actual: Arguments, expected: Arguments, scale: float = 1.0) -> None:
    """Assert that two trainings ended in the same place, to rounding."""
    dtype = actual["X"].dtype.type
    for name in ("params", "state", "total_loss"):
        assert_close(actual[name], expected[name], dtype, scale)
    assert_allclose(actual["powers"], expected["powers"], rtol=1e-15)
    if actual["solver"] == kernels.GRADIENT:
        assert_close(actual["grad"], expected["grad"], dtype, scale)


def assert_same_bits(actual: Arguments, expected: Arguments) -> None:
    """Assert that two trainings ended in exactly the same place."""
    for name in ("params", "grad", "state", "powers", "total_loss"):
        assert_array_equal(actual[name], expected[name])


def complex_step_gradient(sizes: Sequence[int], fit_intercept: bool, arguments: Arguments) -> Array:
    """Return the exact gradient of the reference's mean loss, without penalty."""
    params = arguments["params"].astype(complex)
    X = arguments["X"].astype(float)
    step = 1e-30
    gradient = np.empty(params.size)
    for i in range(params.size):
        moved = params.copy()
        moved[i] += step * 1j
        value = reference.loss_of_parameters(
            sizes, fit_intercept, arguments["loss"], moved, X, arguments["Y"]
        )
        gradient[i] = value.imag / step
    return gradient


def assert_gradient_is_exact(sizes: Sequence[int], fit_intercept: bool, result: Arguments) -> None:
    """Compare loss and every layer's gradient with the complex step, layer by layer."""
    dtype = result["X"].dtype.type
    tolerance = reference.RTOL[dtype]
    exact = complex_step_gradient(sizes, fit_intercept, result)
    layers = zip(
        reference.split_parameters(sizes, fit_intercept, result["grad"]),
        reference.split_parameters(sizes, fit_intercept, exact),
        strict=True,
    )
    for actual, expected in layers:
        for part, exact_part in zip(actual, expected, strict=True):
            error = np.linalg.norm(part - exact_part)
            assert error <= tolerance * np.linalg.norm(exact_part)
    mean = reference.loss_of_parameters(
        sizes, fit_intercept, result["loss"], result["params"].astype(complex),
        result["X"].astype(float), result["Y"],
    ).real  # fmt: skip
    assert_allclose(result["total_loss"] / len(result["X"]), mean, rtol=tolerance)


@dtypes
@networks
@intercepts
@every_loss
def test_loss_and_gradient_are_exact(
    dtype: Any, sizes: Any, fit_intercept: bool, loss: int
) -> None:
    # Less than a panel, some panels and a part, and exactly two panels of either dtype.
    for n_samples in (1, 5, 37, 64):
        arguments = problem(
            sizes, dtype, n_samples=n_samples, fit_intercept=fit_intercept, loss=loss
        )
        for form, n_threads in forms(kernels.train_batches):
            result = trained(form, in_panels(arguments, n_threads))
            assert_gradient_is_exact(sizes, fit_intercept, result)
        assert_gradient_is_exact(
            sizes, fit_intercept, trained(kernels.train_rows, in_rows(arguments))
        )


@every_loss
def test_gradient_is_the_slope_of_the_loss(loss: int) -> None:
    arguments = problem((3, 4, 2), np.float64, n_samples=21, loss=loss, alpha=0.5)

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
        for form, n_threads in forms(kernels.train_blocks):
            blocks = in_blocks(arguments, n_threads, n_blocks, super_block)
            result = trained(form, blocks)
            result["grad"] = result["grad"][: result["params"].size]
            assert_gradient_is_exact(sizes, True, result)


@dtypes
@networks
@every_solver
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_blocks_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size, n_blocks in ((10, 1), (40, 2), (97, 4)):
        arguments = problem(
            sizes, dtype, n_samples=97, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        blocks = in_blocks(arguments, n_blocks=n_blocks)
        expected = trained(reference.train_blocks, copied(blocks))
        first = trained(kernels.train_blocks.serial, copied(blocks))
        for result in (expected, first):
            result["whole_grad"] = result["grad"]
            result["grad"] = result["grad"][: result["params"].size]
        assert_same_training(first, expected, scale=5)
        for form, n_threads in forms(kernels.train_blocks):
            again = trained(form, copied(blocks) | {"n_threads": n_threads})
            np.testing.assert_array_equal(again["grad"], first["whole_grad"])
            assert_same_bits(again | {"grad": first["grad"]}, first)


@dtypes
@networks
@every_solver
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_panels_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size in (10, 40, 97):
        arguments = problem(
            sizes, dtype, n_samples=97, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        expected = trained(reference.train_batches, in_panels(arguments))
        first = trained(kernels.train_batches.serial, in_panels(arguments))
        assert_same_training(first, expected, scale=5)
        for form, n_threads in forms(kernels.train_batches):
            assert_same_bits(trained(form, in_panels(arguments, n_threads)), first)


@dtypes
@networks
@every_solver
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_rows_follow_the_reference(dtype: Any, sizes: Any, solver: int, alpha: float) -> None:
    for batch_size in (1, 3, 20):
        arguments = problem(
            sizes, dtype, n_samples=20, batch_size=batch_size, solver=solver, alpha=alpha,
            shuffled=True,
        )  # fmt: skip
        expected = trained(reference.train_rows, in_rows(arguments))
        assert_same_training(trained(kernels.train_rows, in_rows(arguments)), expected, scale=5)


@dtypes
@intercepts
@every_loss
@every_solver
def test_rows_and_panels_agree(dtype: Any, fit_intercept: bool, loss: int, solver: int) -> None:
    arguments = problem(
        (5, 9, 3), dtype, n_samples=50, batch_size=7, fit_intercept=fit_intercept, loss=loss,
        solver=solver, alpha=0.1,
    )  # fmt: skip
    panels = trained(kernels.train_batches.serial, in_panels(arguments))
    rows = trained(kernels.train_rows, in_rows(arguments))
    assert_same_training(rows, panels, scale=5)


@dtypes
@every_solver
@pytest.mark.parametrize("super_block", [1, 2, 3])
def test_super_blocks_change_the_result_by_rounding_only(
    dtype: Any, solver: int, super_block: int
) -> None:
    arguments = problem(
        (6, 11, 3), dtype, n_samples=230, batch_size=150, solver=solver, alpha=0.2,
        loss=kernels.CATEGORICAL_LOG_LOSS,
    )  # fmt: skip
    expected = trained(reference.train_batches, in_panels(arguments))
    first = trained(kernels.train_batches.serial, in_panels(arguments, 1, super_block))
    assert_same_training(first, expected, scale=5)
    for form, n_threads in forms(kernels.train_batches):
        assert_same_bits(trained(form, in_panels(arguments, n_threads, super_block)), first)


@dtypes
@every_solver
def test_wide_layers_follow_the_reference(dtype: Any, solver: int) -> None:
    # Strips of 32 and of 4 rows, of whole tiles and of remainders.
    arguments = problem(
        (1_100, 37, 3), dtype, n_samples=90, batch_size=50, solver=solver, alpha=0.2, rate=0.01
    )
    expected = trained(reference.train_batches, in_panels(arguments))
    first = trained(kernels.train_batches.serial, in_panels(arguments))
    assert_same_training(first, expected, scale=5)
    for form, n_threads in forms(kernels.train_batches):
        assert_same_bits(trained(form, in_panels(arguments, n_threads)), first)


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
    for form in kernels.train_batches:
        assert_same_bits(trained(form, in_panels(arguments, n_threads=8)), expected)


@dtypes
@every_solver
def test_runs_of_batches_add_up_to_an_epoch(dtype: Any, solver: int) -> None:
    arguments = problem((3, 5, 2), dtype, n_samples=100, batch_size=20, solver=solver)
    whole_panels = trained(kernels.train_batches.serial, in_panels(arguments))
    pieces = in_panels(arguments)
    for first, last in ((0, 40), (40, 80), (80, 100)):
        trained(kernels.train_batches.serial, pieces | {"first_sample": first, "last_sample": last})
    assert_same_bits(pieces, whole_panels)
    whole_rows = trained(kernels.train_rows, in_rows(arguments))
    pieces = in_rows(arguments)
    for first, last in ((0, 40), (40, 100)):
        trained(kernels.train_rows, pieces | {"first_sample": first, "last_sample": last})
    assert_same_bits(pieces, whole_rows)


@dtypes
def test_biases_are_not_penalised(dtype: Any) -> None:
    arguments = problem((3, 4, 2), dtype, n_samples=30, alpha=0.0)
    penalised = arguments | {"hyper": kernels.hyper_vector(0.1, 3.0)}
    for form, layout in ((kernels.train_batches.serial, in_panels), (kernels.train_rows, in_rows)):
        without = trained(form, layout(arguments))
        result = trained(form, layout(penalised))
        pairs = zip(
            reference.split_parameters((3, 4, 2), True, without["grad"]),
            reference.split_parameters((3, 4, 2), True, result["grad"]),
            reference.split_parameters((3, 4, 2), True, arguments["params"]),
            strict=True,
        )
        for (weight, bias), (weight_too, bias_too), (value, _) in pairs:
            assert_array_equal(bias_too, bias)
            assert_close(weight_too, weight + 3.0 * value / 30, dtype)


@dtypes
@every_loss
def test_loss_that_is_not_finite_stops_early(dtype: Any, loss: int) -> None:
    for bad in (0, 25, 59):
        arguments = problem((3, 4, 2), dtype, n_samples=60, batch_size=10, loss=loss)
        arguments["X"][bad, 1] = np.nan
        before = bad // 10 * 10
        for form, n_threads in forms(kernels.train_batches):
            result = in_panels(arguments, n_threads)
            assert form(**result) == before
            assert np.isfinite(result["total_loss"][0])
        result = in_rows(arguments)
        assert kernels.train_rows(**result) == before
        assert np.isfinite(result["total_loss"][0])
        twin = in_panels(arguments)
        assert reference.train_batches(**twin) == before
        assert_close(result["total_loss"], twin["total_loss"], dtype)


@dtypes
def test_exploding_penalty_stops_early(dtype: Any) -> None:
    arguments = problem((3, 4, 2), dtype, n_samples=20, batch_size=10, alpha=1.0)
    arguments["params"][:] = np.finfo(dtype).max
    assert kernels.train_batches.serial(**in_panels(arguments)) == 0
    assert kernels.train_rows(**in_rows(arguments)) == 0


@dtypes
def test_inputs_are_left_alone(dtype: Any) -> None:
    arguments = problem(
        (3, 4, 2), dtype, n_samples=50, batch_size=20, solver=kernels.ADAM, shuffled=True
    )
    for form, layout in (
        (kernels.train_batches.parallel, in_panels),
        (kernels.train_rows, in_rows),
    ):
        before = layout(arguments)
        result = trained(form, layout(arguments))
        for name in ("X", "Y", "order", "plan", "hyper"):
            assert_array_equal(result[name], before[name])


@dtypes
def test_used_workspace_gives_the_bits_of_a_new_one(dtype: Any) -> None:
    arguments = problem((3, 4, 2), dtype, n_samples=50, batch_size=45, solver=kernels.SGD)
    first = trained(kernels.train_batches.serial, in_panels(arguments))
    used = {name: first[name] for name in ("panels", "panel_losses", "strip_squares")}
    again = trained(kernels.train_batches.serial, in_panels(arguments) | used)
    assert_same_bits(again, first)
