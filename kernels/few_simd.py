"""The micro-kernel for few samples as rows, as LLVM code: lanes run over the units of a layer.

Unlike `row_simd`, which trains, it has the chains of `simd.multiply_tile`: one a unit and
sample, over the inputs in order, then the bias. So it gives the bits of panels.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .columns import Columns, over_columns
from .intrinsics import address, fma_function
from .vector import Loop, grid, integer, splat, vector_type


def _add_products(
    builder: Any, columns: Columns, factors: list[Any], weights: Any, sums: list[Any]
) -> list[Any]:
    """Add the products of each row's factor and one row of weights."""
    fma = fma_function(builder, columns.vector)
    row = columns.load(weights)
    new = []
    for factor, row_sums in zip(factors, grid(sums, columns.count), strict=True):
        x = splat(builder, factor, columns.vector)
        new += [builder.call(fma, [w, x, s]) for w, s in zip(row, row_sums, strict=True)]
    return new


def row_tile(n_rows: int) -> Any:
    """Make the micro-kernel for up to `n_rows` rows and all units of a layer.

    ``out[r * out_stride + j] = sum over i < k of a[r * a_stride + i] * w[i * w_stride + j]``
    for r <= last and j < n, and after them ``w[k * w_stride + j]`` if `has_bias`, which is 1
    or 0. What `out` holds counts as zero if `begins` is true; else the sum goes on from it.
    Rows after the last are the last once more.
    """

    @intrinsic
    def micro_kernel(
        typingctx, last, k, has_bias, begins, a, a_start, a_stride, w, w_start, w_stride, n,
        out, out_start, out_stride,
    ):  # fmt: skip
        def codegen(context, builder, signature, args):
            last, k, has_bias, begins, _, _, a_stride, _, _, w_stride, n, _, _, out_stride = args
            kinds = signature.args
            inputs = address(context, builder, kinds[4], *args[4:6])
            weights = address(context, builder, kinds[7], *args[7:9])
            out = address(context, builder, kinds[11], *args[11:13])
            vector = vector_type(context, kinds[11])
            one = ir.Constant(vector.element, 1.0)
            rows = [
                builder.select(builder.icmp_signed("<", integer(r), last), integer(r), last)
                for r in range(n_rows)
            ]
            offsets = [builder.mul(row, a_stride) for row in rows]
            targets = [builder.mul(row, out_stride) for row in rows]

            def work(columns, pointers):
                weights, out = pointers
                places = [builder.gep(out, [target]) for target in targets]
                zero = ir.Constant(vector, None)
                sums = [
                    builder.select(begins, zero, old)
                    for place in places
                    for old in columns.load(place)
                ]
                loop = Loop(builder, k, [inputs, weights, *sums])
                x, row, *sums = loop.values
                factors = [builder.load(builder.gep(x, [offset])) for offset in offsets]
                sums = _add_products(builder, columns, factors, row, sums)
                following = [builder.gep(x, [integer(1)]), builder.gep(row, [w_stride])]
                _, row, *sums = loop.close([*following, *sums])
                loop = Loop(builder, has_bias, sums)
                ones = [one] * n_rows
                sums = loop.close(_add_products(builder, columns, ones, row, loop.values))
                for place, values in zip(places, grid(sums, columns.count), strict=True):
                    columns.store(values, place)

            most = 8 if n_rows == 1 else 4
            over_columns(context, builder, vector, n, [weights, out], work, most)
            return context.get_dummy_value()

        i = types.intp
        return types.none(i, i, i, types.boolean, a, i, i, w, i, i, i, out, i, i), codegen

    return micro_kernel
