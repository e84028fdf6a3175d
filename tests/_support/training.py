"""Problems for the three training kernels, and what it means that they solved them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnet import kernels
from fastnet._engine.features import read_only

from .. import reference
from ..reference import DTYPES, NO_WEIGHTS, Array, assert_close, forms
from .workers import new_claims

planning = kernels.plan

LOSSES = {
    "binary": kernels.BINARY_LOG_LOSS,
    "categorical": kernels.CATEGORICAL_LOG_LOSS,
    "squared": kernels.SQUARED_ERROR,
    "half squared": kernels.HALF_SQUARED_ERROR,
    "poisson": kernels.HALF_POISSON_DEVIANCE,
}
SOLVERS = {
    "gradient": kernels.GRADIENT,
    "sgd": kernels.SGD,
    "momentum": kernels.MOMENTUM,
    "nesterov": kernels.NESTEROV,
    "adam": kernels.ADAM,
    "rprop": kernels.RPROP,
}
# How many numbers of state a parameter has.
N_STATES = {kernels.MOMENTUM: 1, kernels.NESTEROV: 1, kernels.ADAM: 2, kernels.RPROP: 2}

Arguments = dict[str, Any]

dtypes = pytest.mark.parametrize("dtype", DTYPES)
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
# RPROP goes by the signs of slopes, which rounding turns where they are nearly 0; what a
# path of its steps comes to is then another matter. `test_rprop.py` compares single steps.
SMOOTH_SOLVERS = {name: solver for name, solver in SOLVERS.items() if name != "rprop"}
smooth_solvers = pytest.mark.parametrize(
    "solver", SMOOTH_SOLVERS.values(), ids=SMOOTH_SOLVERS.keys()
)


def problem(
    sizes: Sequence[int], dtype: Any, *, n_samples: int, batch_size: int = 0,
    fit_intercept: bool = True, loss: int = kernels.BINARY_LOG_LOSS,
    solver: int = kernels.GRADIENT, alpha: float = 0.0, rate: float = 0.1,
    max_grad_norm: float = np.inf, weights: Array = NO_WEIGHTS, shuffled: bool = False,
) -> Arguments:  # fmt: skip
    """Return what all training kernels take, by name; all samples, in mini-batches."""
    rng = np.random.default_rng(0)
    plan = kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype))
    n_parameters = kernels.count_parameters(plan)
    return {
        "X": rng.normal(size=(n_samples, sizes[0])).astype(dtype),
        "indices": None,
        "indptr": None,
        "Y": targets(loss, (n_samples, sizes[-1]), dtype, rng),
        "weights": weights.astype(dtype),
        "order": rng.permutation(n_samples) if shuffled else np.arange(n_samples),
        "first_sample": 0,
        "last_sample": n_samples,
        "batch_size": batch_size or n_samples,
        "plan": plan,
        "params": padded(plan, rng.normal(size=n_parameters)).astype(dtype),
        # What is there beforehand must not matter.
        "grad": padded(plan, np.full(n_parameters, np.nan)).astype(dtype),
        "state": new_state(solver, n_parameters, rate, dtype),
        "loss": loss,
        "solver": solver,
        "hyper": kernels.hyper_vector(
            rate, alpha, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8,
            max_grad_norm=max_grad_norm,
        ),
        "powers": np.ones(2),
        "total_loss": np.zeros(1),
    }  # fmt: skip


def targets(loss: int, shape: tuple[int, int], dtype: Any, rng: np.random.Generator) -> Array:
    """Return targets as a loss wants them."""
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        return np.eye(shape[1], dtype=np.uint8)[rng.integers(0, shape[1], shape[0])]
    if loss == kernels.HALF_SQUARED_ERROR:
        return rng.normal(size=shape).astype(dtype)
    if loss == kernels.HALF_POISSON_DEVIANCE:
        return rng.poisson(1.0, shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(np.uint8)


def padded(plan: Any, params: Any) -> Any:
    """Return parameters with zeros where they pad rows."""
    return reference.flatten(reference.network_layers(plan, params))


def new_state(solver: int, n_parameters: int, rate: float, dtype: Any) -> Array:
    """Return an optimiser's state before its first step."""
    state = np.zeros((N_STATES.get(solver, 0), n_parameters), dtype)
    if solver == kernels.RPROP:
        state[0] = rate
    return state.ravel()


def copied(arguments: Arguments) -> Arguments:
    """Return a copy whose arrays a kernel may overwrite, but for the samples."""
    copies = arguments.copy()
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            # Read-only, as fastnet passes them: kernels are then compiled once for all tests.
            is_of_samples = name in ("X", "indices", "indptr", "Y", "weights")
            copies[name] = read_only(value) if is_of_samples else value.copy()
    return copies


def in_panels(
    arguments: Arguments, n_threads: int = 1, super_block: int = 0, block_panels: int = 1,
    n_runs: int = 0,
) -> Arguments:  # fmt: skip
    """Return copied arguments for `train_batches`, working on so many panels at once.

    Worker 0 alone has one run of strips, if not told otherwise, and several have a few each.
    """
    plan, dtype = arguments["plan"], arguments["X"].dtype
    n_panels = super_block or kernels.super_block_panels(plan, arguments["batch_size"], dtype)
    strips = kernels.plan_strips(plan)
    return copied(arguments) | {
        "strips": strips,
        "runs": kernels.share_strips(plan, strips, n_runs or 3 * n_threads - 2),
        "panels": kernels.new_panels(plan, n_panels, kernels.panel_lanes(dtype), dtype),
        "block_panels": block_panels,
        "panel_losses": np.full(n_panels, np.nan),
        "squares": np.full(2 * len(strips), np.nan),
        "step": np.full(kernels.STEP_SIZE, np.nan),
        "claims": new_claims(),
        "first_worker": 0,
        "last_worker": n_threads,
    }


def in_blocks(
    arguments: Arguments, n_threads: int = 1, super_block: int = 0, n_blocks: int = 4
) -> Arguments:
    """Return copied arguments for `train_blocks`."""
    panels = in_panels(arguments, n_threads, super_block)
    for name in ("strips", "runs", "block_panels", "squares"):
        del panels[name]
    # What is there beforehand must not matter, but where it pads rows.
    return panels | {"grad": np.tile(arguments["grad"], n_blocks)}


def in_rows(arguments: Arguments, n_threads: int = 1, super_block: int = 0) -> Arguments:
    """Return copied arguments for `train_rows`, which has neither threads nor blocks."""
    layers = arguments["plan"]
    sizes = [*layers[:, planning.FAN_IN], layers[-1, planning.FAN_OUT]]
    fit_intercept = bool(layers[0, planning.ROWS] > layers[0, planning.FAN_IN])
    plan = kernels.plan_network(sizes, fit_intercept, 1)
    dtype = arguments["X"].dtype
    rows = kernels.new_panels(plan, arguments["batch_size"], 1, dtype)
    return copied(arguments) | {"plan": plan, "rows": rows}


class Way(NamedTuple):
    """One of the ways to train: a kernel, its twin, and how to lay out their arguments."""

    kernel: Any
    twin: Any
    layout: Callable[..., Arguments]

    def forms(self, arguments: Arguments) -> Iterator[tuple[Any, int]]:
        """Yield the forms of the kernel, each with every number of threads to try.

        The parallel forms differ in who does a block, whatever the loss and the dtype are. To
        compile them for float64 and for targets that are numbers, too, would take minutes.
        `test_bits.py` compares them with the serial forms for both dtypes, with labels; with
        numbers, which no estimator gives to a parallel form, nothing does.
        """
        if not isinstance(self.kernel, kernels.Kernel):
            yield self.kernel, 1
            return
        kinds = arguments["Y"].dtype, arguments["params"].dtype
        for form, n_threads in forms(self.kernel):
            if kinds == (np.uint8, np.float32) or form is not self.kernel.parallel:
                yield form, n_threads


PANELS = Way(kernels.train_batches, reference.train_batches, in_panels)
BLOCKS = Way(kernels.train_blocks, reference.train_blocks, in_blocks)
ROWS = Way(kernels.train_rows, reference.train_rows, in_rows)
WAYS = {"panels": PANELS, "blocks": BLOCKS, "rows": ROWS}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def n_trained(form: Any, arguments: Arguments) -> int:
    """Call a kernel, and return how many samples it trained on."""
    count = form(**arguments)
    if "claims" not in arguments:
        return int(count)
    assert count is None
    return int(arguments["claims"][kernels.N_TRAINED])


def trained(form: Any, arguments: Arguments) -> Arguments:
    """Call a kernel, and return its arguments; assert that all samples were taken."""
    assert n_trained(form, arguments) == arguments["last_sample"] - arguments["first_sample"]
    return arguments


def trained_in_every_form(way: Way, arguments: Arguments, **layout: int) -> Arguments:
    """Return what a kernel makes of its arguments; assert that no form has other bits."""
    results = [
        trained(form, way.layout(arguments, n_threads, **layout))
        for form, n_threads in way.forms(arguments)
    ]
    for result in results:
        assert_same_bits(result, results[0])
    return results[0]


def assert_follows_its_twin(way: Way, arguments: Arguments, **layout: int) -> None:
    """Assert that a kernel, in all its forms, does what its twin does."""
    expected = trained(way.twin, way.layout(arguments, **layout))
    actual = trained_in_every_form(way, arguments, **layout)
    assert_same_training(actual, expected, scale=5)


def gradient_of(result: Arguments) -> Array:
    """Return the gradient; blocks leave one each, of which the first is that of all."""
    return result["grad"][: result["params"].size]


def assert_same_training(actual: Arguments, expected: Arguments, scale: float = 1.0) -> None:
    """Assert that two trainings ended in the same place, to rounding."""
    dtype = actual["X"].dtype.type
    for name in ("params", "state", "total_loss"):
        assert_close(actual[name], expected[name], dtype, scale)
    assert_allclose(actual["powers"], expected["powers"], rtol=1e-15)
    if actual["solver"] == kernels.GRADIENT:
        assert_close(gradient_of(actual), gradient_of(expected), dtype, scale)


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
            sizes, fit_intercept, arguments["loss"], moved, X, arguments["Y"], arguments["weights"]
        )
        gradient[i] = value.imag / step
    # Descent is along the derivatives of the sum over outputs, of which the loss is the mean.
    return gradient * (sizes[-1] if arguments["loss"] == kernels.HALF_SQUARED_ERROR else 1)


def assert_gradient_is_exact(sizes: Sequence[int], fit_intercept: bool, result: Arguments) -> None:
    """Compare loss and every layer's gradient with the complex step, layer by layer."""
    tolerance = reference.RTOL[result["X"].dtype.type]
    exact = complex_step_gradient(sizes, fit_intercept, result)
    layers = zip(
        reference.split_parameters(sizes, fit_intercept, gradient_of(result)),
        reference.split_parameters(sizes, fit_intercept, exact),
        strict=True,
    )
    for actual, expected in layers:
        for part, exact_part in zip(actual, expected, strict=True):
            error = np.linalg.norm(part - exact_part)
            assert error <= tolerance * np.linalg.norm(exact_part)
    mean = reference.loss_of_parameters(
        sizes, fit_intercept, result["loss"], result["params"].astype(complex),
        result["X"].astype(float), result["Y"], result["weights"],
    ).real  # fmt: skip
    assert_allclose(result["total_loss"] / len(result["X"]), mean, rtol=tolerance)
