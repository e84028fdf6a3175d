"""The losses on logits: against scipy, at extremes, and on partly filled panels."""

import itertools
from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from fastnet import kernels

from .. import reference
from ..reference import DTYPES, NO_WEIGHTS, Array

losses = kernels.loss

LOSSES = [kernels.BINARY_LOG_LOSS, kernels.CATEGORICAL_LOG_LOSS, kernels.SQUARED_ERROR]
LOG_LOSSES = LOSSES[:2]
REGRESSION = [kernels.HALF_SQUARED_ERROR, kernels.HALF_POISSON_DEVIANCE]
SENTINEL = -7

pytestmark = pytest.mark.parametrize("dtype", DTYPES)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=["binary", "categorical", "squared"])
log_losses = pytest.mark.parametrize("loss", LOG_LOSSES, ids=["binary", "categorical"])


@numba.njit(error_model="numpy")
def output_loss(
    loss: int, Y: Array, panels: Array, z: int, delta: int, scratch: int, n_outputs: int,
    width: int, count: int, weights: Array, order: Array, first: int,
) -> float:  # fmt: skip
    """Call the device function."""
    return losses.output_loss(
        loss, Y, panels, z, delta, scratch, n_outputs, width, count, weights, order, first
    )


@numba.njit(error_model="numpy")
def total_weight(weights: Array, order: Array, first: int, count: int) -> float:
    """Call the device function."""
    return losses.total_weight(weights, order, first, count)


@numba.njit(error_model="numpy")
def apply_softmax(panels: Array, z: int, scratch: int, n_outputs: int, width: int) -> None:
    """Call the device function."""
    losses.apply_softmax(panels, z, scratch, n_outputs, width)


def panel_loss(
    loss: int, z: Array, Y: Array, count: int, weights: Array = NO_WEIGHTS,
) -> tuple[float, Array, Array]:  # fmt: skip
    """Return the total and, for one panel of rows, their losses and derivatives by z.

    They are samples somewhere in an order; the weights of all other samples are NaN.
    """
    width, n_outputs = z.shape
    size = z.size
    panels = np.full(2 * size + 3 * width, SENTINEL, z.dtype)
    panels[:size] = z.T.ravel()
    panels[size : 2 * size] = Y.T.ravel()
    order = np.ones(3 + width, np.int64)
    order[3 : 3 + count] = 2 * np.arange(count)[::-1]
    by_sample = np.full(2 * len(weights), np.nan, z.dtype)
    by_sample[order[3 : 3 + len(weights)]] = weights
    targets = np.empty(0, z.dtype if loss in REGRESSION else np.uint8)
    total = output_loss(
        loss, targets, panels, 0, size, 2 * size, n_outputs, width, count, by_sample, order, 3
    )
    assert_array_equal(panels[-width:], SENTINEL)
    blocks = panels[: 2 * size].reshape(2, n_outputs, width)
    return total, blocks[0].T, blocks[1].T


def panel_softmax(z: Array) -> Array:
    """Return the softmax of one panel of rows."""
    width, n_outputs = z.shape
    panels = np.concatenate([z.T.ravel(), np.full(2 * width, SENTINEL, z.dtype)])
    apply_softmax(panels, 0, z.size, n_outputs, width)
    return panels[: z.size].reshape(n_outputs, width).T


def draw_targets(loss: int, n_samples: int, n_outputs: int) -> Array:
    """Return random targets: one-hot rows for the categorical loss."""
    rng = np.random.default_rng(n_outputs)
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        return np.eye(n_outputs)[rng.integers(0, n_outputs, n_samples)]
    return rng.integers(0, 2, (n_samples, n_outputs)).astype(float)


def extreme_logits(dtype: Any, n_outputs: int) -> Array:
    """Return all rows of `n_outputs` logits out of some hard ones."""
    sizes = [1e-30, 1.0, 17.0, 88.0, 104.0, 800.0, 1e30]
    values = [0.0, *sizes, *(-size for size in sizes)]
    return np.array(list(itertools.product(values, repeat=n_outputs)), dtype)


def assert_loss_is_scipys(loss: int, z: Array, Y: Array) -> None:
    """Compare one full panel with the formulas in scipy's functions, in float64."""
    exact = z.astype(float)
    total, actual, delta = panel_loss(loss, z, Y, len(z))
    expected = reference.loss_of_logits(loss, exact, Y)
    eps = float(np.finfo(z.dtype).eps)
    assert_allclose(actual, expected, rtol=8 * eps, atol=8 * eps)
    assert_allclose(delta, reference.delta_of_logits(loss, exact, Y), rtol=0, atol=8 * eps)
    assert_allclose(total, actual.astype(float).sum(), rtol=1e-12)
    assert np.isfinite(total)


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 5, 10])
def test_loss_and_derivative_are_scipys(dtype: Any, loss: int, n_outputs: int) -> None:
    rng = np.random.default_rng(0)
    for width in (1, kernels.panel_lanes(dtype)):
        z = rng.normal(0, 5, (width, n_outputs)).astype(dtype)
        assert_loss_is_scipys(loss, z, draw_targets(loss, width, n_outputs))


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_extreme_logits_have_finite_losses(dtype: Any, loss: int, n_outputs: int) -> None:
    z = extreme_logits(dtype, n_outputs)
    for column in range(n_outputs):
        Y = np.zeros(z.shape)
        Y[:, column] = 1
        assert_loss_is_scipys(loss, z, Y)


def test_confident_and_right_keeps_its_relative_accuracy(dtype: Any) -> None:
    z = np.linspace(5, 80, 32, dtype=dtype)[:, None]
    for sign in (1, -1):
        _, actual, _ = panel_loss(
            kernels.BINARY_LOG_LOSS, sign * z, sign * np.ones(z.shape) > 0, 32
        )
        assert_allclose(
            actual, -special.log_expit(z.astype(float)), rtol=4 * float(np.finfo(dtype).eps)
        )


@every_loss
def test_only_the_first_lanes_count(dtype: Any, loss: int) -> None:
    width = kernels.panel_lanes(dtype)
    z = np.random.default_rng(0).normal(0, 3, (width, 4)).astype(dtype)
    Y = draw_targets(loss, width, 4)
    _, actual, delta = panel_loss(loss, z, Y, width)
    for count in (1, 7, width - 1, width):
        hostile = z.copy()
        hostile[count:] = np.nan
        total, _, partial = panel_loss(loss, hostile, Y, count)
        assert_allclose(total, actual[:count].astype(float).sum(), rtol=1e-12)
        assert_array_equal(partial[:count], delta[:count])
        assert_array_equal(partial[count:], 0)


@every_loss
def test_bits_do_not_depend_on_the_width(dtype: Any, loss: int) -> None:
    z = np.random.default_rng(0).normal(0, 3, (32, 4)).astype(dtype)
    Y = draw_targets(loss, 32, 4)
    _, actual, delta = panel_loss(loss, z, Y, 32)
    for i in range(32):
        _, actual_alone, delta_alone = panel_loss(loss, z[[i]], Y[[i]], 1)
        assert_array_equal(actual_alone, actual[[i]])
        assert_array_equal(delta_alone, delta[[i]])


@every_loss
def test_weights_multiply_losses_and_derivatives(dtype: Any, loss: int) -> None:
    for width in (1, kernels.panel_lanes(dtype)):
        z = np.random.default_rng(0).normal(0, 3, (width, 4)).astype(dtype)
        Y = draw_targets(loss, width, 4)
        weights = np.resize([2.5, 0.0, -1.25, 1.0, 1e-3], width).astype(dtype)
        for count in {1, (width + 1) // 2, width}:
            _, plain, plain_delta = panel_loss(loss, z, Y, count)
            weighted = panel_loss(loss, z, Y, count, weights[:count])
            total, actual, delta = (part[:count] if np.ndim(part) else part for part in weighted)
            expected = reference.loss_of_logits(loss, z.astype(float), Y)[:count]
            expected *= weights[:count, None]
            eps = float(np.finfo(dtype).eps)
            assert_allclose(total, expected.sum(), rtol=0, atol=8 * eps * np.abs(expected).sum())
            assert_array_equal(actual, plain[:count] * weights[:count, None])
            assert_array_equal(delta, plain_delta[:count] * weights[:count, None])
            assert_array_equal(weighted[2][count:], 0)


@every_loss
def test_weights_of_one_are_none(dtype: Any, loss: int) -> None:
    z = np.random.default_rng(0).normal(0, 3, (32, 4)).astype(dtype)
    Y = draw_targets(loss, 32, 4)
    for ones, none in zip(
        panel_loss(loss, z, Y, 32, np.ones(32)), panel_loss(loss, z, Y, 32), strict=True
    ):
        assert_array_equal(ones, none)


def test_total_weight_is_the_sum_over_the_samples(dtype: Any) -> None:
    weights = np.random.default_rng(0).normal(size=50).astype(dtype)
    order = np.random.default_rng(1).permutation(50)
    for first, count in ((0, 50), (7, 1), (7, 0), (11, 30)):
        expected = weights[order[first : first + count]].astype(float).sum()
        assert_allclose(total_weight(weights, order, first, count), expected, rtol=1e-12)
        assert total_weight(weights[:0], order, first, count) == count


def test_total_weight_of_opposites_is_zero(dtype: Any) -> None:
    weights = np.repeat(np.array([0.1, 0.2, 0.7], dtype), 2) * np.array([1, -1] * 3, dtype)
    for order in (np.arange(6), np.arange(6)[::-1].copy()):
        assert total_weight(weights, order, 0, 6) == 0.0


@every_loss
@pytest.mark.parametrize("target", [0, 1])
def test_nan_logit_makes_the_loss_nan(dtype: Any, loss: int, target: int) -> None:
    width = kernels.panel_lanes(dtype)
    for column in range(3):
        z = np.ones((width, 3), dtype)
        z[3, column] = np.nan
        Y = np.zeros(z.shape)
        Y[:, column if target else (column + 1) % 3] = 1
        assert np.isnan(panel_loss(loss, z, Y, width)[0])


def test_infinite_logit_is_certainty(dtype: Any) -> None:
    z = np.array([[np.inf], [np.inf], [-np.inf], [-np.inf]], dtype)
    Y = np.array([[0.0], [1.0], [0.0], [1.0]])
    _, actual, delta = panel_loss(kernels.BINARY_LOG_LOSS, z, Y, 4)
    assert_array_equal(actual, [[np.inf], [0], [0], [np.inf]])
    assert_array_equal(delta, [[1], [0], [0], [-1]])
    _, actual, delta = panel_loss(kernels.SQUARED_ERROR, z, Y, 4)
    assert_array_equal(actual, [[1], [0], [0], [1]])
    assert_allclose(delta, np.zeros((4, 1)), atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_softmax_is_scipys(dtype: Any, n_outputs: int) -> None:
    z = extreme_logits(dtype, n_outputs)
    eps = float(np.finfo(dtype).eps)
    actual = panel_softmax(z)
    assert_allclose(actual, special.softmax(z.astype(float), axis=1), rtol=8 * eps, atol=eps)
    assert_allclose(actual.astype(float).sum(axis=1), 1, rtol=4 * eps)


def test_categorical_loss_is_the_binary_one_of_a_difference(dtype: Any) -> None:
    z = np.linspace(-30, 30, 32, dtype=dtype)[:, None]
    ones = np.ones_like(z)
    _, binary, _ = panel_loss(kernels.BINARY_LOG_LOSS, z, ones, 32)
    pair = np.concatenate([z, np.zeros_like(z)], axis=1)
    first = np.concatenate([ones, np.zeros_like(z)], axis=1)
    _, categorical, _ = panel_loss(kernels.CATEGORICAL_LOG_LOSS, pair, first, 32)
    eps = float(np.finfo(dtype).eps)
    assert_allclose(categorical.sum(axis=1), binary[:, 0], rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("loss", REGRESSION, ids=["squared", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_losses_of_regression_are_scipys(dtype: Any, loss: int, n_outputs: int) -> None:
    rng = np.random.default_rng(0)
    for width in (1, kernels.panel_lanes(dtype)):
        z = rng.normal(0, 4, (width, n_outputs)).astype(dtype)
        Y = rng.gamma(1.0, 3.0, (width, n_outputs)).astype(dtype)
        Y[rng.random(Y.shape) < 0.3] = 0.0
        exact, targets = z.astype(float), Y.astype(float)
        total, actual, delta = panel_loss(loss, z, Y, width)
        # Of the deviance, terms cancel.
        scale = 1.0 + abs(targets * (abs(exact) + 5.0)) + np.exp(exact) + exact**2
        eps = float(np.finfo(dtype).eps)
        expected = reference.loss_of_logits(loss, exact, targets)
        assert (abs(actual - expected) <= 8 * eps * scale).all()
        expected = reference.delta_of_logits(loss, exact, targets)
        assert (abs(delta - expected) <= 8 * eps * scale).all()
        assert_allclose(total, actual.astype(float).sum(), rtol=1e-12)


def test_a_deviance_beyond_all_numbers_is_not_finite(dtype: Any) -> None:
    """So that training ends at that mini-batch."""
    for logit, expected in ((800.0, np.inf), (-800.0, 0.0), (np.nan, np.nan)):
        z = np.full((1, 1), logit, dtype)
        total, _, delta = panel_loss(kernels.HALF_POISSON_DEVIANCE, z, np.zeros((1, 1)), 1)
        assert_array_equal([total, delta[0, 0]], [expected, expected])
