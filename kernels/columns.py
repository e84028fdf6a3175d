"""Rounds over the columns of a matrix, as LLVM code: some vectors at a time, the last masked."""

from typing import Any

from llvmlite import ir

from .vector import (
    Loop,
    first_lanes,
    has_wide_registers,
    integer,
    load_vector,
    masked_load,
    store_first_lanes,
    store_vector,
)


def vectors_for(builder: Any, n: Any, width: int) -> Any:
    """Return how many vectors hold n elements."""
    return builder.sdiv(builder.add(n, integer(width - 1)), integer(width))


class Columns:
    """The vectors of one round over the columns of a matrix; of the last round, what is left."""

    def __init__(
        self, context: Any, builder: Any, vector: ir.VectorType, count: int, left: Any
    ) -> None:
        self.context = context
        self.builder = builder
        self.vector = vector
        self.count = count
        self.left = left
        self.mask = None if left is None else first_lanes(builder, vector, left)

    def load(self, pointer: Any) -> list[Any]:
        """Return the vectors that begin at an address."""
        if self.mask is not None:
            return [masked_load(self.builder, pointer, self.vector, self.mask)]
        width = self.vector.count
        return [
            load_vector(self.builder, pointer, self.vector, i * width) for i in range(self.count)
        ]

    def store(self, values: list[Any], pointer: Any) -> None:
        """Write the vectors to an address."""
        if self.mask is not None:
            store_first_lanes(self.context, self.builder, values[0], pointer, self.left)
            return
        for i, value in enumerate(values):
            store_vector(self.builder, value, pointer, i * self.vector.count)


def over_columns(
    context: Any, builder: Any, vector: ir.VectorType, n: Any, pointers: list[Any], body: Any,
    most: int = 4,
) -> None:  # fmt: skip
    """Build ``body(columns, pointers)`` for n columns: `most` vectors at a time, then one.

    Where there are fewer registers, one at a time. `pointers` move along with the columns.
    """
    left = n
    for count, is_whole in ((most if has_wide_registers(context) else 1, True), (1, False)):
        width = integer(count * vector.count)
        rounds = builder.sdiv(left, width) if is_whole else vectors_for(builder, left, vector.count)
        loop = Loop(builder, rounds, [left, *pointers])
        left, *places = loop.values
        body(Columns(context, builder, vector, count, None if is_whole else left), places)
        following = [builder.gep(place, [width]) for place in places]
        left, *pointers = loop.close([builder.sub(left, width), *following])
