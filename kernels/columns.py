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
    masked_store,
    store_vector,
)


def vectors_for(builder: Any, n: Any, width: int) -> Any:
    """Return how many vectors hold n elements."""
    return builder.sdiv(builder.add(n, integer(width - 1)), integer(width))


class Columns:
    """The vectors of one round over the columns of a matrix, which may be masked."""

    def __init__(self, builder: Any, vector: ir.VectorType, count: int, mask: Any) -> None:
        self.builder = builder
        self.vector = vector
        self.count = count
        self.mask = mask

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
            masked_store(self.builder, values[0], pointer, self.mask)
            return
        for i, value in enumerate(values):
            store_vector(self.builder, value, pointer, i * self.vector.count)


def over_columns(
    context: Any, builder: Any, vector: ir.VectorType, n: Any, pointers: list[Any], body: Any,
    most: int = 4,
) -> None:  # fmt: skip
    """Build ``body(columns, pointers)`` for n columns: `most` vectors at a time, then one.

    `pointers` move along with the columns.
    """
    left = n
    for count in (most, 1) if has_wide_registers(context) else (1,):
        width = integer(count * vector.count)
        masked = count == 1
        rounds = vectors_for(builder, left, vector.count) if masked else builder.sdiv(left, width)
        loop = Loop(builder, rounds, [left, *pointers])
        left, *places = loop.values
        mask = first_lanes(builder, vector, left) if masked else None
        body(Columns(builder, vector, count, mask), places)
        following = [builder.gep(place, [width]) for place in places]
        left, *pointers = loop.close([builder.sub(left, width), *following])
