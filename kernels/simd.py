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

from .intrinsics import address, fma_function
from .vector import (
    INT32,
    Loop,
    grid,
    integer,
    load_vector,
    splat,
    store_vector,
    sum_lanes,
    transpose,
    vector_type,
)


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
            vector = vector_type(context, kinds[7])
            fma = fma_function(builder, vector)
            units = [builder.mul(integer(r), unit_stride) for r in range(MR)]
            halves = (0, vector.count)

            zeros = [ir.Constant(vector, None)] * (2 * MR)
            loop = Loop(builder, k, [weights, rows, *zeros])
            weights, rows, *sums = loop.values
            inputs = [load_vector(builder, rows, vector, half) for half in halves]
            new = []
            for unit, pair in zip(units, grid(sums, 2), strict=True):
                w = splat(builder, builder.load(builder.gep(weights, [unit])), vector)
                new += [builder.call(fma, [w, x, s]) for x, s in zip(inputs, pair, strict=True)]
            following = builder.gep(weights, [k_stride])
            rows = builder.gep(rows, [integer(2 * vector.count)])
            _, _, *sums = loop.close([following, rows, *new])
            for i, value in enumerate(sums):
                store_vector(builder, value, result, i * vector.count)
            return context.get_dummy_value()

        n = types.intp
        return types.none(weight, n, n, n, n, panel, n, out, n), codegen

    return micro_kernel


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
            vector = vector_type(context, kinds[1])
            fma = fma_function(builder, vector)

            zeros = [ir.Constant(vector, None)] * (KR * JR)
            loop = Loop(builder, n_panels, [a_rows, d_rows, *zeros])
            a_rows, d_rows, *sums = loop.values
            for half in (0, vector.count):
                places = [half + 2 * vector.count * c for c in range(JR)]
                deltas = [load_vector(builder, d_rows, vector, place) for place in places]
                new = []
                for r, row_sums in enumerate(grid(sums, JR)):
                    x = load_vector(builder, a_rows, vector, half + 2 * vector.count * r)
                    new += [
                        builder.call(fma, [x, y, s]) for y, s in zip(deltas, row_sums, strict=True)
                    ]
                sums = new
            a_rows = builder.gep(a_rows, [a_stride])
            d_rows = builder.gep(d_rows, [d_stride])
            _, _, *sums = loop.close([a_rows, d_rows, *sums])
            for r, totals in enumerate(grid(sum_lanes(builder, sums), JR)):
                row = builder.mul(integer(r), out_stride)
                for c, total in enumerate(totals):
                    place = builder.gep(result, [builder.add(row, integer(c))])
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
        vector = vector_type(context, kinds[0])
        fma = fma_function(builder, vector)
        width = vector.count

        n_vectors = builder.sdiv(args[2], integer(width))
        loop = Loop(builder, n_vectors, [place, ir.Constant(vector, None)])
        place, total = loop.values
        x = load_vector(builder, place, vector, 0)
        following = builder.gep(place, [integer(width)])
        place, total = loop.close([following, builder.call(fma, [x, x, total])])
        (total,) = sum_lanes(builder, [total])

        loop = Loop(builder, builder.srem(args[2], integer(width)), [place, total])
        place, total = loop.values
        x = builder.load(place)
        total = builder.fadd(total, builder.fmul(x, x))
        _, total = loop.close([builder.gep(place, [integer(1)]), total])
        return total

    return array.dtype(array, types.intp, types.intp), codegen


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
        vector = vector_type(context, kinds[0])
        result = address(context, builder, kinds[6], *args[6:8])
        rows = []
        for i in range(vector.count):
            place = builder.add(first, integer(i))
            place = builder.select(builder.icmp_signed("<", place, last), place, last)
            row = builder.load(address(context, builder, kinds[3], order, place))
            start = builder.add(builder.mul(row, n_columns), column)
            pointer = address(context, builder, kinds[0], matrix, start)
            rows.append(load_vector(builder, pointer, vector, 0))
        for i, row in enumerate(transpose(builder, rows)):
            store_vector(builder, row, result, i * 2 * vector.count)
        return context.get_dummy_value()

    n = types.intp
    return types.none(matrix, n, n, order, n, n, panels, n), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Have the cache line of an element fetched, without waiting for it."""

    def codegen(context, builder, signature, args):
        pointer = address(context, builder, signature.args[0], *args)
        byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kinds = [byte.type, INT32, INT32, INT32]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        # For reading, to keep in every level, data.
        builder.call(function, [byte, *(ir.Constant(INT32, i) for i in (0, 3, 1))])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen
