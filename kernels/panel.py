"""Rows of a matrix to panels and back: a panel is the transpose of 32 (16) rows."""

from typing import Any

from ._jit import device, inline
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
def scatter_pair(panels: Any, start: int, count: int, rows: Any, rows_start: int) -> None:
    """Write ``1 - p, p`` for the first `count` lanes p of a row of a panel."""
    for lane in range(count):
        p = load(panels, start + lane)
        store(rows, rows_start + 2 * lane, cast(1, panels) - p)
        store(rows, rows_start + 2 * lane + 1, p)
