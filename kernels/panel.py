"""Rows of a matrix to panels and back: a panel is the transpose of 32 (16) rows."""

from typing import Any

from ._jit import device
from .intrinsics import cast, load, store


@device
def gather(
    rows: Any, n_columns: int, order: Any, first: int, count: int,
    panels: Any, start: int, width: int,
) -> None:  # fmt: skip
    """Copy rows ``order[first : first + count]`` of a matrix to the lanes of a panel.

    An empty `order` means the rows as they stand. Lanes from `count` on become zero.
    """
    for lane in range(count):
        row = first + lane
        if order.size > 0:
            row = load(order, row)
        source = row * n_columns
        for column in range(n_columns):
            value = cast(load(rows, source + column), panels)
            store(panels, start + column * width + lane, value)
    for column in range(n_columns):
        for lane in range(count, width):
            store(panels, start + column * width + lane, cast(0, panels))


@device
def scatter(
    panels: Any, start: int, width: int, count: int, rows: Any, rows_start: int, n_columns: int
) -> None:
    """Copy the first `count` lanes of a panel to consecutive rows of a matrix."""
    for lane in range(count):
        for column in range(n_columns):
            value = load(panels, start + column * width + lane)
            store(rows, rows_start + lane * n_columns + column, value)
