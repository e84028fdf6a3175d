"""Prediction: every layer's activations, for any number of rows, in the same bits."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from fastnet import kernels

from .. import reference
from .._support.features import arrays_of
from .._support.workers import blocks_of, new_claims
from ..reference import DTYPES, Array, assert_close, forms

NETWORKS = [(3, 1), (5, 4), (2, 7, 3), (28, 33, 9, 4), (3, 128, 2)]
OUTPUTS = {
    "logits": kernels.LOGITS,
    "sigmoid": kernels.SIGMOID,
    "softmax": kernels.SOFTMAX,
    "exp": kernels.EXPONENTIAL,
}

pytestmark = pytest.mark.parametrize("dtype", DTYPES)
networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
outputs = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())


def draw(sizes: Any, fit_intercept: bool, n_samples: int, dtype: Any) -> tuple[Array, ...]:
    """Return a plan, parameters and rows."""
    rng = np.random.default_rng(0)
    plan = kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype))
    params = rng.normal(size=kernels.count_parameters(plan)).astype(dtype)
    return plan, params, rng.normal(size=(n_samples, sizes[0])).astype(dtype)


def run(
    form: Any, plan: Array, params: Array, X: Any, output: int, first_layer: int,
    n_threads: int = 1, zeros: Any = None, group: int = 1, block_panels: int = 1,
) -> Array:  # fmt: skip
    """Return the flat output of a form of the kernel, or of its twin."""
    n_columns = int(plan[first_layer:, 1].sum()) + (output == kernels.PAIR)
    out = np.full(X.shape[0] * n_columns, np.nan, X.dtype)
    if zeros is None:
        zeros = np.zeros(n_threads, X.dtype)
    width = kernels.panel_lanes(X.dtype)
    panels = kernels.new_panels(plan, n_threads * group, width, X.dtype)
    # Room for the numbers of the rows that each worker has in hand.
    order = np.empty(2 * n_threads * group * width, np.int64)
    claims = new_claims(blocks_of(blocks_of(X.shape[0], width), block_panels))
    form(
        *arrays_of(X), order, plan, params, output, first_layer, panels, group, block_panels, out,
        zeros, claims, 0, n_threads,
    )  # fmt: skip
    return out


@networks
@intercepts
@outputs
def test_forward_is_its_twin(dtype: Any, sizes: Any, fit_intercept: bool, output: int) -> None:
    for n_samples in (1, 15, 33, 100):
        plan, params, X = draw(sizes, fit_intercept, n_samples, dtype)
        for first_layer in range(len(plan)):
            case = (plan, params, X, output, first_layer)
            expected = run(reference.forward, *case)
            first = run(kernels.forward.serial, *case)
            assert_close(first, expected, dtype)
            for form, n_threads in forms(kernels.forward):
                assert_array_equal(run(form, *case, n_threads=n_threads), first)


@pytest.mark.parametrize("sizes", [(3, 1), (28, 33, 1)], ids=str)
def test_pair_of_probabilities_is_its_twin(dtype: Any, sizes: Any) -> None:
    plan, params, X = draw(sizes, True, 100, dtype)
    for first_layer in range(len(plan)):
        case = (plan, params, X, kernels.PAIR, first_layer)
        expected = run(reference.forward, *case)
        for form, n_threads in forms(kernels.forward):
            assert_close(run(form, *case, n_threads=n_threads), expected, dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told(dtype: Any, value: float) -> None:
    plan, params, X = draw((5, 4, 2), True, 100, dtype)
    X[50, 2] = np.finfo(dtype).max
    for form, n_threads in forms(kernels.forward):
        zeros = np.zeros(n_threads, dtype)
        run(form, plan, params, X, kernels.LOGITS, 1, n_threads, zeros)
        assert_array_equal(zeros, 0)
    for row, column, group in ((0, 0, 1), (50, 4, 2), (99, 0, 3), (99, 4, 1)):
        bad = X.copy()
        bad[row, column] = value
        for form, n_threads in forms(kernels.forward):
            zeros = np.zeros(n_threads, dtype)
            run(form, plan, params, bad, kernels.LOGITS, 1, n_threads, zeros, group)
            assert np.isnan(zeros).any()


@outputs
def test_a_row_does_not_depend_on_the_rows_around_it(dtype: Any, output: int) -> None:
    plan, params, X = draw((4, 9, 3), True, 70, dtype)
    together = run(kernels.forward.serial, plan, params, X, output, 1).reshape(70, 3)
    for i in range(70):
        alone = run(kernels.forward.serial, plan, params, X[[i]], output, 1)
        assert_array_equal(alone, together[i])
    reversed_rows = run(kernels.forward.serial, plan, params, X[::-1].copy(), output, 1)
    assert_array_equal(reversed_rows.reshape(70, 3)[::-1], together)


@pytest.mark.parametrize(("group", "block_panels"), [(1, 3), (2, 1), (2, 2), (3, 5), (8, 100)])
def test_bits_do_not_depend_on_how_many_panels_are_taken_together(
    dtype: Any, group: int, block_panels: int
) -> None:
    for n_samples in (1, 70, 200):
        case = (*draw((140, 33, 3), True, n_samples, dtype), kernels.SOFTMAX, 0)
        expected = run(kernels.forward.serial, *case)
        for form, n_threads in forms(kernels.forward):
            zeros = np.zeros(n_threads, dtype)
            result = run(form, *case, n_threads, zeros, group, block_panels)
            assert_array_equal(result, expected)
            assert_array_equal(zeros, 0)


def test_no_rows_are_no_output(dtype: Any) -> None:
    plan, params, X = draw((4, 9, 3), True, 0, dtype)
    for form, n_threads in forms(kernels.forward):
        assert run(form, plan, params, X, kernels.SOFTMAX, 0, n_threads=n_threads).size == 0


def test_inputs_are_left_alone(dtype: Any) -> None:
    plan, params, X = draw((4, 9, 3), True, 40, dtype)
    before = plan.copy(), params.copy(), X.copy()
    run(kernels.forward.parallel, plan, params, X, kernels.SOFTMAX, 0, n_threads=2)
    for array, copy in zip((plan, params, X), before, strict=True):
        assert_array_equal(array, copy)


def test_used_panels_give_the_bits_of_new_ones(dtype: Any) -> None:
    plan, params, X = draw((4, 9, 3), True, 40, dtype)
    width = kernels.panel_lanes(dtype)
    panels = kernels.new_panels(plan, 1, width, dtype)
    first, second = np.empty(120, dtype), np.empty(120, dtype)
    order, zeros = np.empty(2 * width, np.int64), np.zeros(1, dtype)
    for out in (first, second):
        claims = new_claims(blocks_of(40, width))
        kernels.forward.serial(
            *arrays_of(X), order, plan, params, kernels.SOFTMAX, 1, panels, 1, 1, out, zeros,
            claims, 0, 1,
        )  # fmt: skip
    assert_array_equal(second, first)


def test_softmax_of_extreme_logits_is_scipys(dtype: Any) -> None:
    plan = kernels.plan_network((3, 3), False, kernels.panel_lanes(dtype))
    identity = np.eye(3, dtype=dtype).ravel()
    values = [-1e30, -800, -1, 0, 1, 800, 1e30]
    X = np.array(np.meshgrid(values, values, values), dtype).reshape(3, -1).T.copy()
    actual = run(kernels.forward.serial, plan, identity, X, kernels.SOFTMAX, 0).reshape(-1, 3)
    expected = special.softmax(X.astype(float), axis=1)
    assert_allclose(actual, expected, rtol=0, atol=4 * float(np.finfo(dtype).eps))
    assert_allclose(actual.astype(float).sum(axis=1), 1, rtol=4 * float(np.finfo(dtype).eps))
