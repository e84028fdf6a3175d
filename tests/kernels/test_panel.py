"""Rows to panels and back: a transpose that touches nothing else."""

from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastnet import kernels

from .._support.features import arrays_of, draw_sparse
from ..reference import DTYPES, Array

panel = kernels.panel

pytestmark = pytest.mark.parametrize("dtype", DTYPES)

START = 5
SENTINEL = -7
N_ROWS = 40


@numba.njit
def gather(
    matrix: Array, n_columns: int, order: Array, first: int, count: int, panels: Array, start: int
) -> None:
    """Call the device function."""
    panel.gather(matrix, n_columns, order, first, count, panels, start)


@numba.njit
def gather_columns(
    matrix: Array, n_columns: int, order: Array, first: int, count: int,
    panels: Array, start: int, width: int,
) -> None:  # fmt: skip
    """Call the device function."""
    panel.gather_columns(matrix, n_columns, order, first, count, panels, start, width)


@numba.njit
def gather_features(
    X: Array, indices: Array, indptr: Array, n_columns: int, order: Array, first: int, count: int,
    panels: Array, start: int, width: int,
) -> None:  # fmt: skip
    """Call one of the two device functions."""
    if width == 1:
        panel.gather_row(X, indices, indptr, n_columns, order, first, panels, start)
    else:
        panel.gather_features(X, indices, indptr, n_columns, order, first, count, panels, start)


@numba.njit
def count_rows(X: Array, indptr: Array) -> int:
    """Call the device function."""
    return panel.count_rows(X, indptr)


@numba.njit
def scatter(
    panels: Array, start: int, width: int, count: int, rows: Array, rows_start: int, n_columns: int
) -> None:
    """Call the device function."""
    panel.scatter(panels, start, width, count, rows, rows_start, n_columns)


def gathered(
    matrix: Array, order: Array, first: int, count: int, dtype: Any, width: int = 0
) -> Array:
    """Return the (n_columns, width) panel of some rows; assert nothing else is written.

    By the function for any width where one is given, else by the one for whole panels.
    """
    n_columns = matrix.shape[1]
    lanes = width or kernels.panel_lanes(dtype)
    end = START + n_columns * lanes
    panels = np.full(end + START, SENTINEL, dtype)
    if width:
        gather_columns(matrix, n_columns, order, first, count, panels, START, width)
    else:
        gather(matrix, n_columns, order, first, count, panels, START)
    assert_array_equal(panels[:START], SENTINEL)
    assert_array_equal(panels[end:], SENTINEL)
    return panels[START:end].reshape(n_columns, lanes)


def transposed(matrix: Array, order: Array, first: int, count: int, width: int) -> Array:
    """Return what a panel of some rows should be; the last fills the lanes left over."""
    places = np.minimum(first + np.arange(width), first + count - 1)
    return matrix[order[places]].T


def counts(width: int) -> list[int]:
    """Return numbers of samples that fill a panel, or part of it."""
    return sorted({1, min(2, width), max(1, width // 2), max(1, width - 1), width})


def draw(n_columns: int, dtype: Any) -> tuple[Array, Array]:
    """Return a matrix, and an order of its rows."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_ROWS, n_columns)).astype(dtype), rng.permutation(N_ROWS)


# Around one, two and three of the tiles of 8 and 16 columns.
@pytest.mark.parametrize("n_columns", [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48])
def test_gather_transposes_rows_in_order(dtype: Any, n_columns: int) -> None:
    matrix, order = draw(n_columns, dtype)
    width = kernels.panel_lanes(dtype)
    for count in counts(width):
        for first in (0, 3, N_ROWS - count):
            result = gathered(matrix, order, first, count, dtype)
            assert_array_equal(result, transposed(matrix, order, first, count, width))


@pytest.mark.parametrize("n_columns", [1, 3, 17])
def test_gather_columns_takes_any_width(dtype: Any, n_columns: int) -> None:
    matrix, order = draw(n_columns, dtype)
    for width in (1, kernels.panel_lanes(dtype)):
        for count in counts(width):
            result = gathered(matrix, order, 3, count, dtype, width)
            assert_array_equal(result, transposed(matrix, order, 3, count, width))


def test_gather_columns_converts_targets(dtype: Any) -> None:
    targets = np.random.default_rng(0).integers(0, 2, (N_ROWS, 3)).astype(np.uint8)
    order = np.arange(N_ROWS)
    width = kernels.panel_lanes(dtype)
    result = gathered(targets, order, 0, width, dtype, width)
    assert_array_equal(result, targets[:width].T)


@pytest.mark.parametrize("n_columns", [1, 2, 3, 8, 17])
def test_scatter_undoes_gather(dtype: Any, n_columns: int) -> None:
    matrix, _ = draw(n_columns, dtype)
    order = np.arange(N_ROWS)
    for width in (1, kernels.panel_lanes(dtype)):
        for count in counts(width):
            source = gathered(matrix, order, 3, count, dtype, width).ravel()
            result = np.full((N_ROWS, n_columns), SENTINEL, dtype)
            scatter(source, 0, width, count, result, 3 * n_columns, n_columns)
            assert_array_equal(result[3 : 3 + count], matrix[3 : 3 + count])
            assert_array_equal(result[:3], SENTINEL)
            assert_array_equal(result[3 + count :], SENTINEL)


def gathered_features(X: Any, order: Array, first: int, count: int, width: int) -> Array:
    """Return the (n_columns, width) panel of some samples; assert nothing else is written."""
    n_columns = X.shape[1]
    end = START + n_columns * width
    panels = np.full(end + START, SENTINEL, X.dtype)
    gather_features(*arrays_of(X), n_columns, order, first, count, panels, START, width)
    assert_array_equal(panels[:START], SENTINEL)
    assert_array_equal(panels[end:], SENTINEL)
    return panels[START:end].reshape(n_columns, width)


@pytest.mark.parametrize("n_columns", [1, 3, 17, 40])
def test_sparse_features_are_gathered_as_dense_ones(dtype: Any, n_columns: int) -> None:
    matrix = draw_sparse(N_ROWS, n_columns, dtype)
    # scipy adds up parts of an element in their order, in the matrix's own dtype.
    dense = matrix.toarray()
    order = np.random.default_rng(0).permutation(N_ROWS)
    for width in (1, kernels.panel_lanes(dtype)):
        for count in counts(width):
            expected = transposed(dense, order, 3, count, width)
            for X in (matrix, dense):
                assert_array_equal(gathered_features(X, order, 3, count, width), expected)


def test_rows_are_counted(dtype: Any) -> None:
    for n_rows in (0, 1, 7):
        for X in (np.ones((n_rows, 3), dtype), sparse.csr_array((n_rows, 3), dtype=dtype)):
            data, _, indptr = arrays_of(X)
            assert count_rows(data, indptr) == n_rows
