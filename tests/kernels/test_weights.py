"""Sample weights in training: scikit-learn's gradients, and those of repeated samples."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier

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
    problem,
    smooth_solvers,
    trained,
    trained_in_every_form,
)
from ..reference import NO_WEIGHTS, Array, assert_close

pytestmark = pytest.mark.thorough

SIZES = (4, 5, 3)
N_SAMPLES = 97

rng = np.random.default_rng(0)
WEIGHTS = {
    "positive": rng.uniform(0.1, 3, N_SAMPLES),
    "some zero": rng.integers(0, 3, N_SAMPLES).astype(float),
    # Of each mini-batch the sum is far from 0.
    "some negative": np.where(np.arange(N_SAMPLES) % 10 == 3, -0.5, 1.5),
    "all negative": -rng.uniform(0.1, 3, N_SAMPLES),
}
every_weights = pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS.keys())


@dtypes
@every_way
@every_loss
@every_weights
def test_loss_and_gradient_are_exact(dtype: Any, way: Way, loss: int, weights: Array) -> None:
    arguments = problem(SIZES, dtype, n_samples=N_SAMPLES, loss=loss, weights=weights)
    assert_gradient_is_exact(SIZES, True, trained_in_every_form(way, arguments))


@dtypes
@every_way
@every_weights
@smooth_solvers
def test_training_follows_its_twin(dtype: Any, way: Way, weights: Array, solver: int) -> None:
    # Sample by sample, a weight of 0 or less would make descent ascent, and chaotic.
    smallest = 1 if way is ROWS and (weights > 0).all() else 10
    for batch_size in (smallest, 20, N_SAMPLES):
        arguments = problem(
            SIZES, dtype, n_samples=N_SAMPLES, batch_size=batch_size, solver=solver,
            alpha=0.3, rate=0.01, weights=weights, shuffled=True,
        )  # fmt: skip
        assert_follows_its_twin(way, arguments)


@dtypes
@pytest.mark.parametrize("way", [PANELS, BLOCKS], ids=["panels", "blocks"])
@smooth_solvers
@pytest.mark.parametrize("super_block", [1, 2])
def test_several_super_blocks_follow_the_twin(
    dtype: Any, way: Way, solver: int, super_block: int
) -> None:
    arguments = problem(
        SIZES, dtype, n_samples=230, batch_size=150, solver=solver, alpha=0.2, rate=0.01,
        weights=np.resize(WEIGHTS["some zero"], 230), shuffled=True,
    )  # fmt: skip
    assert_follows_its_twin(way, arguments, super_block=super_block)


@every_way
@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)], ids=str)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_loss_and_gradient_are_scikit_learns(way: Way, hidden: Any, kind: str) -> None:
    sizes = (4, *hidden, 1 if kind == "binary" else 3)
    loss = kernels.CATEGORICAL_LOG_LOSS if kind == "multiclass" else kernels.BINARY_LOG_LOSS
    weights = WEIGHTS["some zero"]
    arguments = problem(
        sizes, np.float64, n_samples=N_SAMPLES, loss=loss, alpha=0.7, weights=weights
    )
    X, Y = arguments["X"], arguments["Y"]
    y = {"binary": Y.ravel(), "multiclass": Y.argmax(axis=1), "multilabel": Y}[kind]
    model = MLPClassifier(hidden, activation="logistic", alpha=0.7)
    model.partial_fit(X, y, classes=np.arange(3) if kind == "multilabel" else np.unique(y))
    layers = reference.network_layers(arguments["plan"], arguments["params"])
    model.coefs_ = [weight for weight, _ in layers]
    model.intercepts_ = [bias[0] for _, bias in layers]
    empty: list[Any] = [None] * len(layers)
    mean, *gradients = model._backprop(
        X, Y, weights, [X, *empty], empty.copy(), empty.copy(), empty.copy()
    )

    result = trained_in_every_form(way, arguments)
    assert_allclose(result["total_loss"] / N_SAMPLES, mean, rtol=1e-12)
    ours = reference.network_layers(arguments["plan"], gradient_of(result))
    for (weight, bias), weight_too, bias_too in zip(ours, *gradients, strict=True):
        assert_close(weight, weight_too, np.float64)
        assert_close(bias[0], bias_too, np.float64)


@dtypes
@every_way
@every_loss
def test_a_weight_is_a_number_of_repetitions(dtype: Any, way: Way, loss: int) -> None:
    counts = np.random.default_rng(1).integers(0, 4, 30)
    weighted = problem(SIZES, dtype, n_samples=30, loss=loss, alpha=0.3, weights=counts)
    order = np.repeat(np.arange(30), counts)
    repeated = weighted | {
        "weights": NO_WEIGHTS.astype(dtype), "order": order,
        "last_sample": len(order), "batch_size": len(order),
    }  # fmt: skip
    form, _ = next(way.forms(weighted))
    actual = trained(form, way.layout(weighted))
    expected = trained(form, way.layout(repeated))
    assert_close(gradient_of(actual), gradient_of(expected), dtype)
    assert_close(actual["total_loss"] / 30, expected["total_loss"] / len(order), dtype)


@dtypes
@every_way
@every_solver
@pytest.mark.parametrize("weight", [1.0, 2.0, 0.25, -8.0])
def test_equal_weights_are_none(dtype: Any, way: Way, solver: int, weight: float) -> None:
    # Without penalty: that of the sum does not grow with weights.
    alpha = 0.3 if weight == 1.0 else 0.0
    for batch_size in (1, 20):
        arguments = problem(
            SIZES, dtype, n_samples=50, batch_size=batch_size, solver=solver, alpha=alpha
        )
        weights = np.full(50, weight, dtype)
        form, _ = next(way.forms(arguments))
        expected = trained(form, way.layout(arguments))
        actual = trained(form, way.layout(arguments | {"weights": weights}))
        if solver == kernels.GRADIENT:
            assert_array_equal(gradient_of(actual), gradient_of(expected))
        # What else is left there are sums.
        assert_same_bits(actual | {"grad": expected["grad"]}, expected)


@dtypes
@every_way
@every_solver
def test_batches_whose_weights_add_up_to_zero_are_passed_over(
    dtype: Any, way: Way, solver: int
) -> None:
    """As if they were not there: not in parameters, state, powers, nor in the loss."""
    weights = np.tile(WEIGHTS["positive"][:20], 5)
    weights[:20] = 0  # the first batch,
    weights[40:60] = np.repeat([1.0, -3.0, 2.0, 0.0], 5)  # one in the middle
    weights[80:] = np.tile([0.1, -0.1], 10)  # and the last
    arguments = problem(
        SIZES, dtype, n_samples=100, batch_size=20, solver=solver, alpha=0.1, rate=0.01,
        weights=weights, max_grad_norm=1.0,
    )  # fmt: skip
    kept = np.concatenate([np.arange(20, 40), np.arange(60, 80)])
    without = arguments | {"order": kept, "last_sample": 40}
    if solver != kernels.RPROP:
        assert_follows_its_twin(way, arguments)
    form, _ = next(way.forms(arguments))
    expected = trained(form, way.layout(without))
    assert_same_bits(trained_in_every_form(way, arguments), expected)


@dtypes
@every_way
@every_solver
@pytest.mark.parametrize("batch_size", [1, 20])
def test_weights_of_zero_change_nothing(dtype: Any, way: Way, solver: int, batch_size: int) -> None:
    arguments = problem(
        SIZES, dtype, n_samples=50, batch_size=batch_size, solver=solver, alpha=0.1,
        weights=np.zeros(50),
    )  # fmt: skip
    for form, n_threads in way.forms(arguments):
        before = way.layout(arguments, n_threads)
        assert_same_bits(trained(form, way.layout(arguments, n_threads)), before)


@dtypes
@every_way
def test_a_batch_that_is_passed_over_is_not_looked_at(dtype: Any, way: Way) -> None:
    weights = np.ones(60)
    weights[20:40] = 0
    arguments = problem(SIZES, dtype, n_samples=60, batch_size=20, weights=weights)
    arguments["X"][25] = np.nan
    result = trained_in_every_form(way, arguments)
    assert np.isfinite(result["total_loss"]).all()


@dtypes
@every_way
def test_samples_of_no_weight_are_as_if_they_were_not_there(dtype: Any, way: Way) -> None:
    weights = np.ones(60)
    weights[::3] = 0
    arguments: Arguments = problem(SIZES, dtype, n_samples=60, alpha=0.3, weights=weights)
    kept = np.flatnonzero(weights)
    without = arguments | {"order": kept, "last_sample": len(kept), "batch_size": len(kept)}
    form, _ = next(way.forms(arguments))
    actual = trained(form, way.layout(arguments))
    expected = trained(form, way.layout(without))
    actual["total_loss"] *= len(kept) / 60
    assert_same_training(actual, expected)
    assert_array_equal(actual["params"], arguments["params"])
