"""The first layer on sparse rows, entry by entry."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from .._support.features import arrays_of, draw_few
from .._support.training import (
    PANELS,
    Arguments,
    assert_follows_its_twin,
    assert_same_bits,
    dtypes,
    every_loss,
    problem,
    smooth_solvers,
    trained_in_every_form,
)
from .._support.workers import blocks_of, new_claims
from ..reference import Array, forms

N_THREADS = 3
# Widths whose deltas are all transposed, all not, and some of each.
widths = pytest.mark.parametrize("n_units", [3, 40, 64])


def training(X: Any, sizes: tuple[int, ...], **parameters: Any) -> Arguments:
    """Return what training on a sparse matrix takes."""
    arguments = problem(
        (X.shape[1], *sizes), X.dtype.type, n_samples=X.shape[0], shuffled=True, **parameters
    )
    arguments |= dict(zip(("X", "indices", "indptr"), arrays_of(X), strict=True))
    assert kernels.takes_entries(arguments["plan"], X.nnz, X.shape[0])
    return arguments


@dtypes
@widths
@every_loss
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gradients_are_their_twins(
    dtype: Any, n_units: int, loss: int, fit_intercept: bool
) -> None:
    X = draw_few(97, 150, dtype)
    arguments = training(X, (n_units, 3), loss=loss, fit_intercept=fit_intercept)
    assert_follows_its_twin(PANELS, arguments)


@dtypes
@smooth_solvers
def test_every_step_follows_its_twin(dtype: Any, solver: int) -> None:
    X = draw_few(97, 150, dtype)
    arguments = training(
        X, (40, 3), batch_size=40, solver=solver, alpha=0.1, rate=0.01, max_grad_norm=0.5,
        weights=np.linspace(0.5, 2, 97),
    )  # fmt: skip
    assert_follows_its_twin(PANELS, arguments)


@dtypes
@pytest.mark.parametrize("sizes", [(3,), (40, 20, 2)])
def test_other_depths_and_super_blocks(dtype: Any, sizes: tuple[int, ...]) -> None:
    arguments = training(draw_few(200, 150, dtype), sizes, batch_size=150, solver=kernels.ADAM)
    for super_block in (1, 2, 0):
        assert_follows_its_twin(PANELS, arguments, super_block=super_block)


@dtypes
def test_with_all_deltas_transposed_the_bits_are_those_of_dense_features(dtype: Any) -> None:
    X = draw_few(97, 150, dtype)
    of_sparse = training(X, (64, 3), batch_size=40, solver=kernels.ADAM)
    of_dense = of_sparse | dict(
        zip(("X", "indices", "indptr"), arrays_of(X.toarray()), strict=True)
    )
    expected = trained_in_every_form(PANELS, of_dense)
    assert_same_bits(trained_in_every_form(PANELS, of_sparse), expected)


def predicted(form: Any, X: Any, sizes: tuple[int, ...], n_threads: int) -> Array:
    """Return all activations."""
    dtype = X.dtype.type
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network((X.shape[1], *sizes), True, width)
    params = np.random.default_rng(0).normal(size=kernels.count_parameters(plan)).astype(dtype)
    panels = kernels.new_panels(plan, N_THREADS, width, dtype)
    order = np.empty(2 * N_THREADS * width, np.int64)
    out = np.full(X.shape[0] * sum(sizes), np.nan, dtype)
    zeros = np.zeros(n_threads, dtype)
    claims = new_claims(blocks_of(X.shape[0], width))
    form(
        *arrays_of(X), order, plan, params, kernels.SIGMOID, 0, panels, 1, 1, out, zeros,
        claims, 0, n_threads,
    )  # fmt: skip
    return out


@dtypes
@pytest.mark.parametrize("sizes", [(3,), (40, 20, 2), (64, 1)])
def test_predictions_have_the_bits_of_dense_features(dtype: Any, sizes: tuple[int, ...]) -> None:
    for n_rows in (33, 100):
        X = draw_few(n_rows, 150, dtype)
        expected = predicted(kernels.forward.serial, X.toarray(), sizes, 1)
        for form, n_threads in forms(kernels.forward):
            assert_array_equal(predicted(form, X, sizes, n_threads), expected)


def test_only_where_they_are_few_and_sums_have_room() -> None:
    wide = kernels.plan_network((800, 20, 1), True, 32)
    assert kernels.takes_entries(wide, 100 * 10, 10)
    assert not kernels.takes_entries(wide, 100 * 10 + 1, 10)
    narrow = kernels.plan_network((20, 21, 1), True, 32)
    assert not kernels.takes_entries(narrow, 0, 10)
