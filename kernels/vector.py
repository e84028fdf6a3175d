"""Vectors and loops of LLVM code: what the micro-kernels are written with."""

from typing import Any

from llvmlite import ir

from ._numba import cgutils
from .intrinsics import PANEL_BYTES

VECTOR_BYTES = PANEL_BYTES // 2

INT = ir.IntType(64)
INT32 = ir.IntType(32)


def integer(value: int) -> ir.Constant:
    """Return a 64-bit integer constant."""
    return ir.Constant(INT, value)


def has_wide_registers(context: Any) -> bool:
    """Return whether code is for AVX-512: 32 registers of 64 bytes."""
    return "+avx512f" in context.codegen().magic_tuple()[2].split(",")


def vector_type(context: Any, array_type: Any) -> ir.VectorType:
    """Return the LLVM type of a vector of an array's elements."""
    element = context.get_data_type(array_type.dtype)
    return ir.VectorType(element, VECTOR_BYTES * 8 // array_type.dtype.bitwidth)


def vector_pointer(builder: Any, pointer: Any, vector: ir.VectorType, index: int) -> Any:
    """Return a pointer to the vector that starts `index` elements on."""
    element = builder.gep(pointer, [integer(index)])
    return builder.bitcast(element, vector.as_pointer())


def _element_bytes(vector: ir.VectorType) -> int:
    return 4 if isinstance(vector.element, ir.FloatType) else 8


def load_vector(builder: Any, pointer: Any, vector: ir.VectorType, index: int) -> Any:
    """Load the vector that starts `index` elements on; it need not be aligned."""
    place = vector_pointer(builder, pointer, vector, index)
    return builder.load(place, align=_element_bytes(vector))


def store_vector(builder: Any, value: Any, pointer: Any, index: int) -> None:
    """Store a vector `index` elements on."""
    place = vector_pointer(builder, pointer, value.type, index)
    builder.store(value, place, align=_element_bytes(value.type))


def prefetch_line(builder: Any, pointer: Any) -> None:
    """Have the cache line of an address fetched, if there is memory, without waiting for it."""
    byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kinds = [byte.type, INT32, INT32, INT32]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
    )
    # For reading, to keep in every level, data.
    builder.call(function, [byte, *(ir.Constant(INT32, i) for i in (0, 3, 1))])


def splat(builder: Any, scalar: Any, vector: ir.VectorType) -> Any:
    """Return a vector whose lanes are all the same."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    zeros = ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


def first_lanes(builder: Any, vector: ir.VectorType, count: Any) -> Any:
    """Return a mask of the first `count` lanes, of all where there are no more."""
    lanes = ir.VectorType(INT, vector.count)
    numbers = ir.Constant(lanes, list(range(vector.count)))
    return builder.icmp_signed("<", numbers, splat(builder, count, lanes))


def _masked(builder: Any, name: str, vector: ir.VectorType, result: Any, values: list[Any]) -> Any:
    n_bytes = _element_bytes(vector)
    align = ir.Constant(INT32, n_bytes)
    values = [align if value is None else value for value in values]
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(result, [value.type for value in values]),
        f"llvm.masked.{name}.v{vector.count}f{8 * n_bytes}.p0",
    )
    return builder.call(function, values)


def masked_load(builder: Any, pointer: Any, vector: ir.VectorType, mask: Any) -> Any:
    """Load a vector whose other lanes are zero."""
    place = vector_pointer(builder, pointer, vector, 0)
    return _masked(builder, "load", vector, vector, [place, None, mask, ir.Constant(vector, None)])


def masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    """Store the lanes of a vector that a mask selects."""
    place = vector_pointer(builder, pointer, value.type, 0)
    _masked(builder, "store", value.type, ir.VoidType(), [value, place, None, mask])


def store_first_lanes(context: Any, builder: Any, value: Any, pointer: Any, count: Any) -> None:
    """Store the first `count` lanes of a vector: none where it is negative.

    Only AVX-512 has a fast masked store. Of AVX2 it is microcode on AMD's processors, and NEON has
    none. There a vector is stored whole, or as halves, quarters and so on.
    """
    if has_wide_registers(context):
        masked_store(builder, value, pointer, first_lanes(builder, value.type, count))
        return
    lanes = value.type.count
    is_whole = builder.icmp_signed(">=", count, integer(lanes))
    is_part = builder.icmp_signed(">", count, integer(0))
    with builder.if_else(is_whole) as (whole, rest):
        with whole:
            store_vector(builder, value, pointer, 0)
        with rest, builder.if_then(is_part):
            _store_parts(builder, value, pointer, count)


def _store_parts(builder: Any, value: Any, pointer: Any, count: Any) -> None:
    """Store less than a whole vector."""
    size = value.type.count // 2
    while size:
        has_part = builder.icmp_signed("!=", builder.and_(count, integer(size)), integer(0))
        lower, upper = (
            shuffle(builder, value, value, list(range(first, first + size))) for first in (0, size)
        )
        with builder.if_then(has_part):
            store_vector(builder, lower, pointer, 0)
        value = builder.select(has_part, upper, lower)
        pointer = builder.select(has_part, builder.gep(pointer, [integer(size)]), pointer)
        size //= 2


class Loop:
    """A counted loop that carries values in registers from one round to the next.

    The body is what is built between making the loop and `close`, which takes the new
    values and returns what they are after the last round, or the initial ones where the
    count is zero. Loops may be nested.
    """

    def __init__(self, builder: Any, count: Any, initial: list[Any]) -> None:
        self.builder = builder
        self.count = count
        self.before = builder.block
        self.initial = initial
        self.body = builder.append_basic_block("loop")
        self.done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, integer(0)), self.body, self.done)
        builder.position_at_end(self.body)
        self.index = builder.phi(INT)
        self.values = [builder.phi(value.type) for value in initial]

    def close(self, values: list[Any]) -> list[Any]:
        """End the body."""
        builder = self.builder
        latch = builder.block
        index = builder.add(self.index, integer(1))
        builder.cbranch(builder.icmp_signed("<", index, self.count), self.body, self.done)
        phis = zip(
            [self.index, *self.values], [integer(0), *self.initial], [index, *values], strict=True
        )
        for phi, first, following in phis:
            phi.add_incoming(first, self.before)
            phi.add_incoming(following, latch)
        builder.position_at_end(self.done)
        results = [builder.phi(value.type) for value in values]
        for phi, first, last in zip(results, self.initial, values, strict=True):
            phi.add_incoming(first, self.before)
            phi.add_incoming(last, latch)
        return results


def grid(flat: list[Any], columns: int) -> list[list[Any]]:
    """Return a list as rows of `columns` elements."""
    return [flat[i : i + columns] for i in range(0, len(flat), columns)]


def shuffle(builder: Any, a: Any, b: Any, indices: list[int]) -> Any:
    """Return lanes of two vectors, those of `b` counted on from those of `a`."""
    mask = ir.Constant(ir.VectorType(INT32, len(indices)), indices)
    return builder.shuffle_vector(a, b, mask)


def sum_lanes(builder: Any, vectors: list[Any]) -> list[Any]:
    """Return the sum of the lanes of each vector, all by one tree.

    Each step adds the upper half of a vector to its lower half, and packs the results
    of two vectors into one: with as many vectors as lanes, 2 shuffles and an add for
    each. The order of additions depends on the number of lanes only.
    """
    lanes = vectors[0].type.count
    groups = [vectors[i : i + lanes] for i in range(0, len(vectors), lanes)]
    return [total for group in groups for total in _sum_group(builder, group, lanes)]


def _sum_group(builder: Any, vectors: list[Any], lanes: int) -> list[Any]:
    """Sum the lanes of at most as many vectors as there are lanes."""
    count = len(vectors)
    undefined = ir.Constant(vectors[0].type, ir.Undefined)
    # A vector holds `lanes // part` sums, each still in `part` lanes.
    part = lanes
    while part > 1:
        half = part // 2
        lower = [first + i for first in range(0, lanes, part) for i in range(half)]
        lower += [lanes + i for i in lower]
        upper = [i + half for i in lower]
        if len(vectors) % 2:
            vectors = [*vectors, undefined]
        vectors = [
            builder.fadd(shuffle(builder, a, b, lower), shuffle(builder, a, b, upper))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        part = half
    index = [ir.Constant(INT32, i) for i in range(count)]
    return [builder.extract_element(vectors[0], i) for i in index]


def transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose a square block held as vectors: swap ever larger sub-blocks."""
    lanes = range(len(rows))
    size = 1
    while size < len(rows):
        lower = [i if not i & size else len(rows) + i - size for i in lanes]
        upper = [i + size if not i & size else len(rows) + i for i in lanes]
        for i in lanes:
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i] = shuffle(builder, a, b, lower)
                rows[i + size] = shuffle(builder, a, b, upper)
        size *= 2
    return rows
