"""Vector operations on single rows, as LLVM code: lanes run over the units of a layer.

`combine_rows` and `dot_rows` are transposes of each other, and all that a dense layer
needs of one sample: the forward pass combines the rows of the weights, the hidden deltas
are dot products with them, the gradient combines deltas over samples. What does not fill
a vector is masked. The order of additions is fixed here, as in `simd`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .intrinsics import address, fma_function
from .vector import INT, INT32, Loop, integer, splat, sum_lanes, vector_pointer, vector_type

# Chains that one sum is split over, to hide the latency of the adder.
_CHAINS = 4


def _mask(builder: Any, vector: ir.VectorType, count: Any) -> Any:
    """Return a mask of the first `count` lanes, of all where there are no more."""
    lanes = ir.VectorType(INT, vector.count)
    numbers = ir.Constant(lanes, list(range(vector.count)))
    return builder.icmp_signed("<", numbers, splat(builder, count, lanes))


def _masked(builder: Any, name: str, vector: ir.VectorType, result: Any, values: list[Any]) -> Any:
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    align = ir.Constant(INT32, bits // 8)
    values = [align if value is None else value for value in values]
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(result, [value.type for value in values]),
        f"llvm.masked.{name}.v{vector.count}f{bits}.p0",
    )
    return builder.call(function, values)


def _masked_load(builder: Any, pointer: Any, vector: ir.VectorType, mask: Any) -> Any:
    """Load a vector whose other lanes are zero."""
    place = vector_pointer(builder, pointer, vector, 0)
    return _masked(builder, "load", vector, vector, [place, None, mask, ir.Constant(vector, None)])


def _masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    place = vector_pointer(builder, pointer, value.type, 0)
    _masked(builder, "store", value.type, ir.VoidType(), [value, place, None, mask])


def _chunks(builder: Any, n: Any, width: int) -> Any:
    """Return how many vectors hold n elements."""
    return builder.sdiv(builder.add(n, integer(width - 1)), integer(width))


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
        zero = ir.Constant(vector, None)
        step = integer(vector.count)

        def add_row(scalar, row, total):
            x = splat(builder, builder.load(scalar), vector)
            total = builder.call(fma, [x, _masked_load(builder, row, vector, mask), total])
            return builder.gep(scalar, [s_stride]), builder.gep(row, [r_stride]), total

        chunk = Loop(builder, _chunks(builder, n, vector.count), [n, rows, out])
        left, first_row, place = chunk.values
        mask = _mask(builder, vector, left)

        quads = builder.sdiv(n_rows, integer(_CHAINS))
        loop = Loop(builder, quads, [scalars, first_row, *[zero] * _CHAINS])
        scalar, row, *totals = loop.values
        for i, total in enumerate(totals):
            scalar, row, totals[i] = add_row(scalar, row, total)
        scalar, row, *totals = loop.close([scalar, row, *totals])
        rest = builder.srem(n_rows, integer(_CHAINS))
        loop = Loop(builder, rest, [scalar, row, totals[0]])
        _, _, totals[0] = loop.close([*add_row(*loop.values)])

        _masked_store(builder, _add_up(builder, totals), place, mask)
        chunk.close(
            [builder.sub(left, step), builder.gep(first_row, [step]), builder.gep(place, [step])]
        )
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

            zeros = [ir.Constant(lanes, None)] * count
            loop = Loop(builder, _chunks(builder, n, lanes.count), [n, place, row, *zeros])
            left, place, row, *totals = loop.values
            mask = _mask(builder, lanes, left)
            x = _masked_load(builder, place, lanes, mask)
            for r, total in enumerate(totals):
                this_row = builder.gep(row, [builder.mul(integer(r), r_stride)])
                y = _masked_load(builder, this_row, lanes, mask)
                totals[r] = builder.call(fma, [x, y, total])
            following = [
                builder.sub(left, step), builder.gep(place, [step]), builder.gep(row, [step])
            ]  # fmt: skip
            _, _, _, *totals = loop.close([*following, *totals])
            for r, total in enumerate(sum_lanes(builder, totals)):
                builder.store(total, builder.gep(out, [integer(r)]))
            return context.get_dummy_value()

        k = types.intp
        return types.none(k, vector, k, rows, k, k, out, k), codegen

    return operation


@intrinsic
def rank_one_update(
    typingctx, factor, decay, n_rows, scalars, s_start, vector, v_start, n, matrix, m_start
):
    """Take a step along the product of a column and a row.

    ``matrix[m_start + r * n + i] = decay * matrix[...] + factor * scalars[s_start + r]
    * vector[v_start + i]`` for r < n_rows, i < n.
    """

    def codegen(context, builder, signature, args):
        factor, decay, n_rows, _, _, _, _, n, _, _ = args
        kinds = signature.args
        scalars = address(context, builder, kinds[3], *args[3:5])
        place = address(context, builder, kinds[5], *args[5:7])
        matrix = address(context, builder, kinds[8], *args[8:10])
        vector = vector_type(context, kinds[8])
        fma = fma_function(builder, vector)
        step = integer(vector.count)
        decays = splat(builder, decay, vector)

        chunk = Loop(builder, _chunks(builder, n, vector.count), [n, place, matrix])
        left, place, first_row = chunk.values
        mask = _mask(builder, vector, left)
        x = _masked_load(builder, place, vector, mask)
        x = builder.fmul(x, splat(builder, factor, vector))
        loop = Loop(builder, n_rows, [scalars, first_row])
        scalar, row = loop.values
        kept = builder.fmul(decays, _masked_load(builder, row, vector, mask))
        s = splat(builder, builder.load(scalar), vector)
        _masked_store(builder, builder.call(fma, [s, x, kept]), row, mask)
        loop.close([builder.gep(scalar, [integer(1)]), builder.gep(row, [n])])
        chunk.close(
            [builder.sub(left, step), builder.gep(place, [step]), builder.gep(first_row, [step])]
        )
        return context.get_dummy_value()

    k = types.intp
    real = matrix.dtype
    return types.none(real, real, k, scalars, k, vector, k, k, matrix, k), codegen
