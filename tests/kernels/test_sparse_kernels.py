"""Sparse features: the very bits of the same features made dense.

In `test_entries.py` are those of which the first layer takes the entries.
"""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastnet import kernels

from .._support.features import arrays_of, draw_few, draw_sparse
from .._support.training import (
    BLOCKS,
    ROWS,
    Arguments,
    Way,
    assert_follows_its_twin,
    assert_same_bits,
    dtypes,
    every_loss,
    every_solver,
    every_way,
    n_trained,
    problem,
    smooth_solvers,
    trained_in_every_form,
)
from .._support.workers import blocks_of, new_claims
from ..reference import Array, forms

pytestmark = pytest.mark.thorough

N_THREADS = 3
OUTPUTS = {
    "logits": kernels.LOGITS,
    "sigmoid": kernels.SIGMOID,
    "softmax": kernels.SOFTMAX,
    "exp": kernels.EXPONENTIAL,
}

widths = pytest.mark.parametrize("n_features", [1, 3, 40])
outputs = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())


def with_features(arguments: Arguments, X: Any) -> Arguments:
    """Return arguments for training on other features, dense or sparse."""
    return arguments | dict(zip(("X", "indices", "indptr"), arrays_of(X), strict=True))


def both_kinds(X: Any, **parameters: Any) -> tuple[Arguments, Arguments]:
    """Return arguments for training on a sparse matrix, and on the same made dense."""
    n_samples, n_features = X.shape
    arguments = problem(
        (n_features, 7, 3), X.dtype.type, n_samples=n_samples, shuffled=True, **parameters
    )
    # scipy adds up parts of an element in their order, in the matrix's own dtype.
    return with_features(arguments, X), with_features(arguments, X.toarray())


def assert_same_bits_as_dense(way: Way, X: Any, **parameters: Any) -> None:
    """Assert that a kernel, in all its forms, takes sparse features as it takes dense ones."""
    of_sparse, of_dense = both_kinds(X, **parameters)
    expected = trained_in_every_form(way, of_dense)
    assert_same_bits(trained_in_every_form(way, of_sparse), expected)


@dtypes
@widths
@every_way
@every_loss
def test_gradients_are_those_of_dense_features(
    dtype: Any, n_features: int, way: Way, loss: int
) -> None:
    X = draw_sparse(97, n_features, dtype)
    assert_same_bits_as_dense(way, X, loss=loss)


@dtypes
@every_way
@every_solver
def test_every_step_is_that_of_dense_features(dtype: Any, way: Way, solver: int) -> None:
    X = draw_sparse(97, 40, dtype)
    for batch_size in (1 if way is ROWS else 10, 20, 97):
        assert_same_bits_as_dense(
            way, X, batch_size=batch_size, solver=solver, alpha=0.1, max_grad_norm=0.5,
            weights=np.linspace(0.5, 2, 97),
        )  # fmt: skip


@dtypes
@pytest.mark.parametrize("way", [BLOCKS, ROWS], ids=["blocks", "rows"])
@every_solver
def test_few_entries_as_well(dtype: Any, way: Way, solver: int) -> None:
    """So few that panels take them one by one (`test_entries.py`)."""
    X = draw_few(97, 150, dtype)
    assert_same_bits_as_dense(way, X, batch_size=10, solver=solver, alpha=0.1)


@dtypes
@every_way
@smooth_solvers
def test_training_follows_its_twin(dtype: Any, way: Way, solver: int) -> None:
    of_sparse, _ = both_kinds(
        draw_sparse(97, 40, dtype), batch_size=30, solver=solver, alpha=0.1, rate=0.01
    )
    assert_follows_its_twin(way, of_sparse)


@dtypes
@every_way
def test_training_where_nothing_is_given(dtype: Any, way: Way) -> None:
    X = sparse.csr_array((50, 4), dtype=dtype)
    assert X.nnz == 0
    assert_same_bits_as_dense(way, X, batch_size=20, solver=kernels.SGD)


@dtypes
@every_way
def test_only_what_is_given_may_be_not_finite(dtype: Any, way: Way) -> None:
    """A NaN is met in the batch of its row, and nowhere else."""
    X = draw_sparse(60, 5, dtype)
    X.data[X.indptr[7]] = np.nan
    of_sparse, _ = both_kinds(X, batch_size=20)
    place = np.flatnonzero(of_sparse["order"] == 7)[0]
    for form, n_threads in way.forms(of_sparse):
        assert n_trained(form, way.layout(of_sparse, n_threads)) == place // 20 * 20


def predicted(form: Any, X: Any, output: int, n_threads: int) -> tuple[Array, Array]:
    """Return all activations, and what tells whether the features are finite."""
    dtype, sizes = X.dtype.type, (X.shape[1], 9, 2)
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network(sizes, True, width)
    rng = np.random.default_rng(0)
    params = rng.normal(size=kernels.count_parameters(plan)).astype(dtype)
    panels = kernels.new_panels(plan, N_THREADS, width, dtype)
    order = np.empty(2 * N_THREADS * width, np.int64)
    out = np.full(X.shape[0] * 11, np.nan, dtype)
    zeros = np.zeros(n_threads, dtype)
    claims = new_claims(blocks_of(X.shape[0], width))
    form(
        *arrays_of(X), order, plan, params, output, 0, panels, 1, 1, out, zeros,
        claims, 0, n_threads,
    )  # fmt: skip
    return out, zeros


@dtypes
@widths
@outputs
def test_predictions_are_those_of_dense_features(dtype: Any, n_features: int, output: int) -> None:
    for n_rows in (1, 33, 100):
        X = draw_sparse(n_rows, n_features, dtype)
        expected, _ = predicted(kernels.forward.serial, X.toarray(), output, 1)
        for form, n_threads in forms(kernels.forward):
            out, zeros = predicted(form, X, output, n_threads)
            assert_array_equal(out, expected)
            assert_array_equal(zeros, 0)


@dtypes
def test_predictions_where_nothing_is_given(dtype: Any) -> None:
    X = sparse.csr_array((40, 4), dtype=dtype)
    expected, _ = predicted(kernels.forward.serial, X.toarray(), kernels.SIGMOID, 1)
    for form, n_threads in forms(kernels.forward):
        assert_array_equal(predicted(form, X, kernels.SIGMOID, n_threads)[0], expected)
        assert predicted(form, X[:0], kernels.SIGMOID, n_threads)[0].size == 0
