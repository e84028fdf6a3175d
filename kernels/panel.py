"""Rows of a matrix to panels and back: a panel is the transpose of 32 (16) rows.

Features come as three arguments. Of a dense matrix, `X` is that matrix and `indices` and
`indptr` are None. Of a sparse one in CSR form, `X` is its data as a column and the others
are its own. A kernel is compiled for each kind that is met, without the code for the
other. A sparse row is made dense nowhere but in its panel, so that it gives the bits of
the dense one.
"""

from typing import Any

import numpy as np

from ._jit import device, inline, paste
from .intrinsics import cast, lanes, load, store
from .simd import prefetch, transpose_tile


@device
def gather(
    matrix: Any, n_columns: int, order: Any, first: int, count: int, panels: Any, start: int
) -> None:
    """Copy rows ``order[first : first + count]`` to the lanes of a panel.

    Lanes from `count` on repeat the last of these rows: something finite to compute
    with, whose results nobody uses.
    """
    width = lanes(panels)
    tile = width // 2
    if n_columns < tile:
        gather_columns(matrix, n_columns, order, first, count, panels, start, width)
        return
    last = first + count - 1
    for lane in range(0, width, tile):
        for begin in range(0, n_columns, tile):
            # The last tile overlaps the one before, to end where the row ends.
            column = min(begin, n_columns - tile)
            target = start + column * width + lane
            transpose_tile(matrix, n_columns, column, order, first + lane, last, panels, target)


@inline
def gather_columns(
    matrix: Any, n_columns: int, order: Any, first: int, count: int,
    panels: Any, start: int, width: int,
) -> None:  # fmt: skip
    """Do what `gather` does for any dtype, few columns and any width, element by element."""
    for lane in range(width):
        source = load(order, first + min(lane, count - 1)) * n_columns
        for column in range(n_columns):
            value = cast(load(matrix, source + column), panels)
            store(panels, start + column * width + lane, value)


@paste
def count_rows(X: Any, indptr: Any) -> int:
    """Return how many samples there are."""
    if indptr is None:
        return X.shape[0]
    return indptr.size - 1


@paste
def gather_row(
    X: Any, indices: Any, indptr: Any, n_columns: int, order: Any, place: int, row: Any, start: int
) -> None:
    """Copy the features of the sample ``order[place]`` to a row."""
    if indptr is None:
        gather_columns(X, n_columns, order, place, 1, row, start, 1)
    else:
        gather_sparse(X, indices, indptr, n_columns, order, place, 1, row, start, 1)


@paste
def gather_features(
    X: Any, indices: Any, indptr: Any, n_columns: int, order: Any, first: int, count: int,
    panels: Any, start: int,
) -> None:  # fmt: skip
    """Copy the features of samples ``order[first : first + count]`` to the lanes of a panel."""
    if indptr is not None:
        width = lanes(panels)
        gather_sparse(X, indices, indptr, n_columns, order, first, count, panels, start, width)
    else:
        gather(X, n_columns, order, first, count, panels, start)


@device
def gather_sparse(
    data: Any, indices: Any, indptr: Any, n_columns: int, order: Any, first: int, count: int,
    panels: Any, start: int, width: int,
) -> None:  # fmt: skip
    """Copy the rows ``order[first : first + count]`` of a sparse matrix to `width` lanes."""
    for i in range(start, start + n_columns * width):
        store(panels, i, cast(0, panels))
    for lane in range(width):
        row = load(order, first + min(lane, count - 1))
        for entry in range(load(indptr, row), load(indptr, row + 1)):
            place = start + np.int64(load(indices, entry)) * width + lane
            # An element may be given in several parts.
            store(panels, place, load(panels, place) + load(data, entry))


@inline
def prefetch_rows(matrix: Any, n_columns: int, order: Any, first: int, count: int) -> None:
    """Have rows ``order[first : first + count]`` fetched, those that there are."""
    step = lanes(matrix) // 2  # a cache line
    for i in range(first, min(first + count, order.size)):
        source = load(order, i) * n_columns
        for column in range(0, n_columns, step):
            prefetch(matrix, source + column)


@device
def scatter(
    panels: Any, start: int, width: int, count: int, rows: Any, rows_start: int, n_columns: int
) -> None:
    """Copy the first `count` lanes of a panel to consecutive rows of a matrix."""
    for lane in range(count):
        for column in range(n_columns):
            value = load(panels, start + column * width + lane)
            store(rows, rows_start + lane * n_columns + column, value)


@device
def scatter_pair(
    panels: Any, start: int, width: int, count: int, rows: Any, rows_start: int
) -> None:
    """Do what `scatter` does for two columns, whose loop it would count out each time."""
    for lane in range(count):
        store(rows, rows_start + 2 * lane, load(panels, start + lane))
        store(rows, rows_start + 2 * lane + 1, load(panels, start + width + lane))
