"""The micro-kernel for few samples as rows, as LLVM code: lanes run over the units of a layer.

Unlike `row_simd`, which trains, it has the chains of `simd.multiply_tile`: one a unit and
sample, over the inputs in order, then the bias. So it gives the bits of panels.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import address, fma_function
from .vector import (
    Loop,
    first_lanes,
    grid,
    has_wide_registers,
    integer,
    load_vector,
    masked_load,
    masked_store,
    splat,
    store_vector,
    vector_type,
)


class _Tile:
    """Sums of some rows over some vectors of units, of which one may be masked."""

    def __init__(self, builder: Any, vector: ir.VectorType, n_rows: int, mask: Any, count: int):
        self.builder = builder
        self.vector = vector
        self.n_rows = n_rows
        self.mask = mask
        self.count = count

    def load(self, pointer: Any) -> list[Any]:
        if self.mask is not None:
            return [masked_load(self.builder, pointer, self.vector, self.mask)]
        width = self.vector.count
        return [
            load_vector(self.builder, pointer, self.vector, i * width) for i in range(self.count)
        ]

    def store(self, values: list[Any], pointer: Any) -> None:
        if self.mask is not None:
            masked_store(self.builder, values[0], pointer, self.mask)
            return
        for i, value in enumerate(values):
            store_vector(self.builder, value, pointer, i * self.vector.count)

    def add(self, factors: list[Any], weights: Any, sums: list[Any]) -> list[Any]:
        """Add the products of each row's factor and one row of weights."""
        fma = fma_function(self.builder, self.vector)
        row = self.load(weights)
        new = []
        for factor, row_sums in zip(factors, grid(sums, self.count), strict=True):
            x = splat(self.builder, factor, self.vector)
            new += [self.builder.call(fma, [w, x, s]) for w, s in zip(row, row_sums, strict=True)]
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

            def work(tile, weights, out):
                places = [builder.gep(out, [target]) for target in targets]
                zero = ir.Constant(vector, None)
                sums = [
                    builder.select(begins, zero, old)
                    for place in places
                    for old in tile.load(place)
                ]
                loop = Loop(builder, k, [inputs, weights, *sums])
                x, row, *sums = loop.values
                factors = [builder.load(builder.gep(x, [offset])) for offset in offsets]
                sums = tile.add(factors, row, sums)
                following = [builder.gep(x, [integer(1)]), builder.gep(row, [w_stride])]
                _, row, *sums = loop.close([*following, *sums])
                loop = Loop(builder, has_bias, sums)
                sums = loop.close(tile.add([one] * n_rows, row, loop.values))
                for place, values in zip(places, grid(sums, tile.count), strict=True):
                    tile.store(values, place)

            left = n
            most = (8 if n_rows == 1 else 4, 1) if has_wide_registers(context) else (1,)
            for count in most:
                width = integer(count * vector.count)
                masked = count == 1
                shortfall = integer(vector.count - 1 if masked else 0)
                rounds = builder.sdiv(builder.add(left, shortfall), width)
                loop = Loop(builder, rounds, [left, weights, out])
                left, *pointers = loop.values
                mask = first_lanes(builder, vector, left) if masked else None
                work(_Tile(builder, vector, n_rows, mask, count), *pointers)
                following = [builder.gep(pointer, [width]) for pointer in pointers]
                left, weights, out = loop.close([builder.sub(left, width), *following])
            return context.get_dummy_value()

        i = types.intp
        return types.none(i, i, i, types.boolean, a, i, i, w, i, i, i, out, i, i), codegen

    return micro_kernel
