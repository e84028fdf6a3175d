"""Vector operations on single rows, as LLVM code: lanes run over the units of a layer.

`combine_rows` and `dot_rows` are transposes of each other, and all that a dense layer
needs of one sample: the forward pass combines the rows of the weights, the hidden deltas
are dot products with them, the gradient combines deltas over samples. What does not fill
a vector is masked, and stored in parts where masked stores are slow (`vector`). The order of
additions is fixed here, as in `simd`.

Where registers allow, whole vectors are worked on four at a time, so that a scalar is
spread over lanes once for the four, and without masks: 28-64-1 at batch 1 takes 149
instead of 182 ns a sample, 230 instead of 310 in float64.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._numba import cgutils
from .columns import Columns, over_columns, vectors_for
from .formula import Number
from .intrinsics import address, fma_function
from .vector import (
    Loop,
    grid,
    integer,
    splat,
    sum_lanes,
    vector_type,
)

# Chains that one sum is split over, to hide the latency of the adder.
_CHAINS = 4


def _add_up(builder: Any, values: list[Any]) -> Any:
    while len(values) > 1:
        values = [builder.fadd(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


@intrinsic
def combine_rows(
    typingctx, n_rows, scalars, s_start, s_stride, rows, r_start, r_stride, n, out, out_start
):
    """Write a linear combination of rows of n elements.

    ``out[out_start + i] = sum over r < n_rows of scalars[s_start + r * s_stride]
    * rows[r_start + r * r_stride + i]``; row r is added to chain r % 4.
    """

    def codegen(context, builder, signature, args):
        n_rows, _, _, s_stride, _, _, r_stride, n, _, _ = args
        kinds = signature.args
        scalars = address(context, builder, kinds[1], *args[1:3])
        rows = address(context, builder, kinds[4], *args[4:6])
        out = address(context, builder, kinds[8], *args[8:10])
        vector = vector_type(context, kinds[8])
        fma = fma_function(builder, vector)

        def combine(columns, places):
            first_row, place = places

            def add_row(scalar, row, totals):
                x = splat(builder, builder.load(scalar), vector)
                totals = [
                    builder.call(fma, [x, value, total])
                    for value, total in zip(columns.load(row), totals, strict=True)
                ]
                return builder.gep(scalar, [s_stride]), builder.gep(row, [r_stride]), totals

            zeros = [ir.Constant(vector, None)] * (_CHAINS * columns.count)
            quads = builder.sdiv(n_rows, integer(_CHAINS))
            loop = Loop(builder, quads, [scalars, first_row, *zeros])
            scalar, row, *flat = loop.values
            chains = grid(flat, columns.count)
            for i, totals in enumerate(chains):
                scalar, row, chains[i] = add_row(scalar, row, totals)
            flat = [total for totals in chains for total in totals]
            scalar, row, *flat = loop.close([scalar, row, *flat])
            first, *others = grid(flat, columns.count)
            rest = builder.srem(n_rows, integer(_CHAINS))
            loop = Loop(builder, rest, [scalar, row, *first])
            scalar, row, *first = loop.values
            scalar, row, first = add_row(scalar, row, first)
            _, _, *first = loop.close([scalar, row, *first])
            sums = [_add_up(builder, list(chains)) for chains in zip(first, *others, strict=True)]
            columns.store(sums, place)

        over_columns(context, builder, vector, n, [rows, out], combine)
        return context.get_dummy_value()

    k = types.intp
    return types.none(k, scalars, k, k, rows, k, k, k, out, k), codegen


def dot_rows(count: int) -> Any:
    """Make the operation for `count` rows of n elements.

    ``out[out_start + r] = sum over i of vector[start + i] * rows[r_start + r * r_stride +
    i]`` for r < count; the sum is over vectors first, then over lanes by a tree.
    """

    @intrinsic
    def operation(typingctx, n, vector, start, rows, r_start, r_stride, out, out_start):
        def codegen(context, builder, signature, args):
            n, _, _, _, _, r_stride, _, _ = args
            kinds = signature.args
            place = address(context, builder, kinds[1], *args[1:3])
            row = address(context, builder, kinds[3], *args[3:5])
            out = address(context, builder, kinds[6], *args[6:8])
            lanes = vector_type(context, kinds[6])
            fma = fma_function(builder, lanes)
            step = integer(lanes.count)

            totals = [ir.Constant(lanes, None)] * count
            left = n
            for is_whole in (True, False):
                rounds = (
                    builder.sdiv(n, step) if is_whole else vectors_for(builder, left, lanes.count)
                )
                loop = Loop(builder, rounds, [left, place, row, *totals])
                left, place, row, *totals = loop.values
                columns = Columns(context, builder, lanes, 1, None if is_whole else left)
                (x,) = columns.load(place)
                for r, total in enumerate(totals):
                    (y,) = columns.load(builder.gep(row, [builder.mul(integer(r), r_stride)]))
                    totals[r] = builder.call(fma, [x, y, total])
                following = [
                    builder.sub(left, step), builder.gep(place, [step]), builder.gep(row, [step])
                ]  # fmt: skip
                left, place, row, *totals = loop.close([*following, *totals])
            for r, total in enumerate(sum_lanes(builder, totals)):
                builder.store(total, builder.gep(out, [integer(r)]))
            return context.get_dummy_value()

        k = types.intp
        return types.none(k, vector, k, rows, k, k, out, k), codegen

    return operation


def rank_one(step: Callable[..., Sequence[Number]]) -> Any:
    """Make a step on matrices of parameters along the product of a column and a row.

    Of ``step(x, y, values..., constants...)``, for r < n_rows and i < n, x is ``scalars[s_start +
    r]``, y is ``vector[v_start + i]``, and the values are those of the arrays at ``start + r *
    stride + i``. It returns what to put in their places.
    """

    @intrinsic
    def operation(
        typingctx, n_rows, scalars, s_start, vector, v_start, n, arrays, starts, stride, constants
    ):
        def codegen(context, builder, signature, args):
            n_rows, _, _, _, _, n, _, _, stride, _ = args
            kinds = signature.args
            scalars = address(context, builder, kinds[1], *args[1:3])
            place = address(context, builder, kinds[3], *args[3:5])
            starts = [
                address(context, builder, *which)
                for which in zip(
                    kinds[6],
                    *(cgutils.unpack_tuple(builder, args[i]) for i in (6, 7)),
                    strict=True,
                )
            ]
            lanes = vector_type(context, kinds[6][0])
            constants = cgutils.unpack_tuple(builder, args[9])

            def take_steps(columns, pointers):
                place, *first_row = pointers
                ys = [Number(builder, y) for y in columns.load(place)]
                loop = Loop(builder, n_rows, [scalars, *first_row])
                scalar, *row = loop.values
                x = ys[0].filled(builder.load(scalar))
                others = [x.filled(value) for value in constants]
                values = [
                    [Number(builder, value) for value in columns.load(pointer)] for pointer in row
                ]
                results = [step(x, y, *own, *others) for y, *own in zip(ys, *values, strict=True)]
                for pointer, own in zip(row, zip(*results, strict=True), strict=True):
                    columns.store([number.value for number in own], pointer)
                following = [builder.gep(pointer, [stride]) for pointer in row]
                loop.close([builder.gep(scalar, [integer(1)]), *following])

            over_columns(context, builder, lanes, n, [place, *starts], take_steps)
            return context.get_dummy_value()

        k = types.intp
        return types.none(k, scalars, k, vector, k, k, arrays, starts, k, constants), codegen

    return operation
