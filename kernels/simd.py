"""Vector micro-kernels, as LLVM code; everything dense is built on the first two.

A *panel* holds the values of some units for `lanes` samples (32 of float32, 16 of
float64), unit-major: element ``[unit, lane]`` of a ``(units, lanes)`` block. A row is
128 bytes, two vectors of 64; LLVM splits a vector where the processor's are narrower.

- `multiply_tile`: MR units x one panel, a chain of fused multiply-adds over k per
  element. Forward pass and hidden deltas, with the strides of the weights swapped.
- `dot_tile`: KR x JR dot products over samples. Weight gradients.
- `transpose_tile`: rows of X to a panel.

Every element of a result is one chain of operations in an order fixed here, whatever
the tile: the bits depend neither on MR, KR or JR nor on the width of the registers.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .intrinsics import PANEL_BYTES, address, fma_function

VECTOR_BYTES = PANEL_BYTES // 2

_INT = ir.IntType(64)
_INT32 = ir.IntType(32)


def _int(value: int) -> ir.Constant:
    return ir.Constant(_INT, value)


def _vector_type(context: Any, array_type: Any) -> ir.VectorType:
    element = context.get_data_type(array_type.dtype)
    return ir.VectorType(element, VECTOR_BYTES * 8 // array_type.dtype.bitwidth)


def _vector_pointer(builder: Any, pointer: Any, vector: ir.VectorType, index: int) -> Any:
    element = builder.gep(pointer, [_int(index)])
    return builder.bitcast(element, vector.as_pointer())


def _load(builder: Any, pointer: Any, vector: ir.VectorType, index: int) -> Any:
    place = _vector_pointer(builder, pointer, vector, index)
    return builder.load(place, align=PANEL_BYTES // (2 * vector.count))


def _store(builder: Any, value: Any, pointer: Any, index: int) -> None:
    place = _vector_pointer(builder, pointer, value.type, index)
    builder.store(value, place, align=PANEL_BYTES // (2 * value.type.count))


def _splat(builder: Any, scalar: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
    zeros = ir.Constant(ir.VectorType(_INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


class _Loop:
    """A counted loop that carries values in registers from one round to the next.

    ``with`` the body's end: call `close` with the new values; it returns what they
    are after the last round, or the initial ones where the count is zero.
    """

    def __init__(self, builder: Any, count: Any, initial: list[Any]) -> None:
        self.builder = builder
        self.count = count
        self.before = builder.block
        self.initial = initial
        self.body = builder.append_basic_block("loop")
        self.done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, _int(0)), self.body, self.done)
        builder.position_at_end(self.body)
        self.index = builder.phi(_INT)
        self.values = [builder.phi(value.type) for value in initial]

    def close(self, values: list[Any]) -> list[Any]:
        builder = self.builder
        index = builder.add(self.index, _int(1))
        builder.cbranch(builder.icmp_signed("<", index, self.count), self.body, self.done)
        phis = zip(
            [self.index, *self.values], [_int(0), *self.initial], [index, *values], strict=True
        )
        for phi, first, following in phis:
            phi.add_incoming(first, self.before)
            phi.add_incoming(following, self.body)
        builder.position_at_end(self.done)
        results = [builder.phi(value.type) for value in values]
        for phi, first, last in zip(results, self.initial, values, strict=True):
            phi.add_incoming(first, self.before)
            phi.add_incoming(last, self.body)
        return results


def _grid(flat: list[Any], columns: int) -> list[list[Any]]:
    return [flat[i : i + columns] for i in range(0, len(flat), columns)]


def multiply_tile(MR: int) -> Any:
    """Make the micro-kernel for MR units and one panel.

    ``out[r, :] = sum over k of weight[r * unit_stride + k * k_stride] * panel[k, :]``
    for r < MR, one panel row of `out` and of `panel` being `lanes` elements.
    """

    @intrinsic
    def micro_kernel(
        typingctx,
        weight,
        weight_start,
        unit_stride,
        k_stride,
        k,
        panel,
        panel_start,
        out,
        out_start,
    ):
        def codegen(context, builder, signature, args):
            _, _, unit_stride, k_stride, k, _, _, _, _ = args
            kinds = signature.args
            weights = address(context, builder, kinds[0], *args[0:2])
            rows = address(context, builder, kinds[5], *args[5:7])
            result = address(context, builder, kinds[7], *args[7:9])
            vector = _vector_type(context, kinds[7])
            fma = fma_function(builder, vector)
            units = [builder.mul(_int(r), unit_stride) for r in range(MR)]
            halves = (0, vector.count)

            zeros = [ir.Constant(vector, None)] * (2 * MR)
            loop = _Loop(builder, k, [weights, rows, *zeros])
            weights, rows, *sums = loop.values
            inputs = [_load(builder, rows, vector, half) for half in halves]
            new = []
            for unit, pair in zip(units, _grid(sums, 2), strict=True):
                w = _splat(builder, builder.load(builder.gep(weights, [unit])), vector)
                new += [builder.call(fma, [w, x, s]) for x, s in zip(inputs, pair, strict=True)]
            following = builder.gep(weights, [k_stride])
            rows = builder.gep(rows, [_int(2 * vector.count)])
            _, _, *sums = loop.close([following, rows, *new])
            for i, value in enumerate(sums):
                _store(builder, value, result, i * vector.count)
            return context.get_dummy_value()

        n = types.intp
        return types.none(weight, n, n, n, n, panel, n, out, n), codegen

    return micro_kernel


def _shuffle(builder: Any, a: Any, b: Any, indices: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(_INT32, len(indices)), indices)
    return builder.shuffle_vector(a, b, mask)


def _sum_lanes(builder: Any, vectors: list[Any]) -> list[Any]:
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
            builder.fadd(_shuffle(builder, a, b, lower), _shuffle(builder, a, b, upper))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        part = half
    index = [ir.Constant(_INT32, i) for i in range(count)]
    return [builder.extract_element(vectors[0], i) for i in index]


def dot_tile(KR: int, JR: int) -> Any:
    """Make the micro-kernel for KR x JR dot products over the samples of panels.

    ``out[r * out_stride + c] += sum over panels p and lanes of a[p, r] * d[p, c]``,
    where row r of panel p starts at ``a_start + p * a_stride + r * lanes``; likewise d.
    Lane i of an accumulator takes samples i, i + 16, i + 32 ... in order (of float32;
    8 for float64), then the lanes are added by a tree.
    """

    @intrinsic
    def micro_kernel(
        typingctx, n_panels, a, a_start, a_stride, d, d_start, d_stride, out, out_start, out_stride
    ):
        def codegen(context, builder, signature, args):
            n_panels, _, _, a_stride, _, _, d_stride, _, _, out_stride = args
            kinds = signature.args
            a_rows = address(context, builder, kinds[1], *args[1:3])
            d_rows = address(context, builder, kinds[4], *args[4:6])
            result = address(context, builder, kinds[7], *args[7:9])
            vector = _vector_type(context, kinds[1])
            fma = fma_function(builder, vector)

            zeros = [ir.Constant(vector, None)] * (KR * JR)
            loop = _Loop(builder, n_panels, [a_rows, d_rows, *zeros])
            a_rows, d_rows, *sums = loop.values
            for half in (0, vector.count):
                places = [half + 2 * vector.count * c for c in range(JR)]
                deltas = [_load(builder, d_rows, vector, place) for place in places]
                new = []
                for r, row_sums in enumerate(_grid(sums, JR)):
                    x = _load(builder, a_rows, vector, half + 2 * vector.count * r)
                    new += [
                        builder.call(fma, [x, y, s]) for y, s in zip(deltas, row_sums, strict=True)
                    ]
                sums = new
            a_rows = builder.gep(a_rows, [a_stride])
            d_rows = builder.gep(d_rows, [d_stride])
            _, _, *sums = loop.close([a_rows, d_rows, *sums])
            for r, totals in enumerate(_grid(_sum_lanes(builder, sums), JR)):
                row = builder.mul(_int(r), out_stride)
                for c, total in enumerate(totals):
                    place = builder.gep(result, [builder.add(row, _int(c))])
                    builder.store(builder.fadd(builder.load(place), total), place)
            return context.get_dummy_value()

        n = types.intp
        return types.none(n, a, n, n, d, n, n, out, n, n), codegen

    return micro_kernel


@intrinsic
def sum_of_squares(typingctx, array, start, count):
    """Return the sum of squares of `count` elements, by lanes, then a tree."""

    def codegen(context, builder, signature, args):
        kinds = signature.args
        place = address(context, builder, kinds[0], *args[0:2])
        vector = _vector_type(context, kinds[0])
        fma = fma_function(builder, vector)
        width = vector.count

        n_vectors = builder.sdiv(args[2], _int(width))
        loop = _Loop(builder, n_vectors, [place, ir.Constant(vector, None)])
        place, total = loop.values
        x = _load(builder, place, vector, 0)
        following = builder.gep(place, [_int(width)])
        place, total = loop.close([following, builder.call(fma, [x, x, total])])
        (total,) = _sum_lanes(builder, [total])

        loop = _Loop(builder, builder.srem(args[2], _int(width)), [place, total])
        place, total = loop.values
        x = builder.load(place)
        total = builder.fadd(total, builder.fmul(x, x))
        _, total = loop.close([builder.gep(place, [_int(1)]), total])
        return total

    return array.dtype(array, types.intp, types.intp), codegen


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose a square block held as vectors: swap ever larger sub-blocks."""
    lanes = range(len(rows))
    size = 1
    while size < len(rows):
        lower = [i if not i & size else len(rows) + i - size for i in lanes]
        upper = [i + size if not i & size else len(rows) + i for i in lanes]
        for i in lanes:
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i] = _shuffle(builder, a, b, lower)
                rows[i + size] = _shuffle(builder, a, b, upper)
        size *= 2
    return rows


@intrinsic
def transpose_tile(typingctx, matrix, n_columns, column, order, first, last, panels, target):
    """Copy a square tile of a matrix, transposed, to one half of a panel's rows.

    The tile is a vector wide: from rows ``order[first], order[first + 1] ...``, but none
    after ``order[last]``, which is repeated instead; and from `column` on. `target` is
    where its first row goes in `panels`.
    """

    def codegen(context, builder, signature, args):
        matrix, n_columns, column, order, first, last, _, _ = args
        kinds = signature.args
        vector = _vector_type(context, kinds[0])
        result = address(context, builder, kinds[6], *args[6:8])
        rows = []
        for i in range(vector.count):
            place = builder.add(first, _int(i))
            place = builder.select(builder.icmp_signed("<", place, last), place, last)
            row = builder.load(address(context, builder, kinds[3], order, place))
            start = builder.add(builder.mul(row, n_columns), column)
            pointer = address(context, builder, kinds[0], matrix, start)
            rows.append(_load(builder, pointer, vector, 0))
        for i, row in enumerate(_transpose(builder, rows)):
            _store(builder, row, result, i * 2 * vector.count)
        return context.get_dummy_value()

    n = types.intp
    return types.none(matrix, n, n, order, n, n, panels, n), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Have the cache line of an element fetched, without waiting for it."""

    def codegen(context, builder, signature, args):
        pointer = address(context, builder, signature.args[0], *args)
        byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kinds = [byte.type, _INT32, _INT32, _INT32]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        # For reading, to keep in every level, data.
        builder.call(function, [byte, *(ir.Constant(_INT32, i) for i in (0, 3, 1))])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen
