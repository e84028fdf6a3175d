"""Vector micro-kernels, as LLVM code; everything dense is built on the first three.

A *panel* holds the values of some units for `lanes` samples (32 of float32, 16 of
float64), unit-major: element ``[unit, lane]`` of a ``(units, lanes)`` block. A row is
128 bytes, two vectors of 64; LLVM splits a vector where the processor's are narrower.

- `multiply_tile`: MR units x one panel, a chain of fused multiply-adds over k per
  element. Forward pass and hidden deltas, with the strides of the weights swapped.
- `outer_tile`: MR rows x up to `lanes` columns of a weight gradient, a chain over the
  samples of panels, whose deltas are transposed: samples as rows, units as lanes.
- `dot_tile`: KR x JR dot products over samples, for gradients of few columns.
- `transpose_tile`, `transpose_block`: rows of X to a panel; deltas to samples as rows.

Every element of a result is one chain of operations in an order fixed here, whatever
the tile: the bits depend neither on the tiles nor on the width of the registers.
"""

from collections.abc import Iterator
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
    prefetch_line,
    splat,
    store_vector,
    sum_lanes,
    transpose,
    vector_type,
)


def _register_tiles(context: Any, rows: int, columns: int) -> Iterator[tuple[range, range]]:
    """Cut a tile of accumulators, each a 64-byte vector, into what the registers hold.

    AVX-512 has 32 registers of 64 bytes and takes 16 accumulators; in 16 of 32 (AVX2)
    and 32 of 16 bytes (NEON), 4 are what leaves room for the operands.
    """
    height, width = (8, 4) if has_wide_registers(context) else (4, 1)
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            yield (
                range(row, min(row + height, rows)),
                range(column, min(column + width, columns)),
            )


def _add_products(
    builder: Any, k: Any, weights: Any, k_stride: Any, units: list[Any], rows: Any, width: Any,
    places: list[Any], sums: list[Any], ahead: "_Ahead | None" = None,
) -> list[Any]:  # fmt: skip
    """Add outer products over k to a tile of accumulators, one row of it for each unit.

    Step i multiplies ``weights[i * k_stride + unit]`` by the vectors that start at
    ``rows[i * width + place]``, and has what is `ahead` fetched.
    """
    vector = sums[0].type
    fma = fma_function(builder, vector)
    far = [ahead.first] if ahead else []
    loop = Loop(builder, k, [weights, rows, *far, *sums])
    weights, rows, *sums = loop.values
    if ahead:
        place, *sums = sums
        far = [ahead.step(builder, loop.index, place)]
    inputs = [load_vector(builder, rows, vector, place) for place in places]
    new = []
    for unit, row_sums in zip(units, grid(sums, len(places)), strict=True):
        w = splat(builder, builder.load(builder.gep(weights, [unit])), vector)
        new += [builder.call(fma, [w, x, s]) for x, s in zip(inputs, row_sums, strict=True)]
    following = [builder.gep(weights, [k_stride]), builder.gep(rows, [width])]
    return loop.close([*following, *far, *new])[2 + len(far) :]


class _Ahead:
    """The weights that a tile of 8 units has fetched, one cache line a step of k, for later steps.

    They are those of 128 steps on, of one unit after the other: whichever of the strides
    is 1, that is every line. After its last the next tile's first are fetched.

    Columns of a wide matrix are a page apart, which no processor fetches by itself. From
    memory, 1,024 x 1,024 of float64 took 42 GFLOP/s without and 104 with it, rows of it 86
    and 124 (AMD EPYC, Zen 5, one core); half as many steps are 75.
    """

    STEPS = 128

    def __init__(self, builder: Any, weights: Any, unit_stride: Any, k_stride: Any, k: Any):
        self.unit_stride, self.k_stride = unit_stride, k_stride
        self.next_tile = builder.gep(weights, [builder.mul(integer(8), unit_stride)])
        self.last = builder.sub(k, integer(self.STEPS + 1))
        own = builder.gep(weights, [builder.mul(integer(self.STEPS), k_stride)])
        has_own = builder.icmp_signed(">=", self.last, integer(0))
        self.first = builder.select(has_own, own, self.next_tile)

    def step(self, builder: Any, i: Any, place: Any) -> Any:
        """Have a line fetched in step `i`; return the place for the step after it."""
        unit = builder.and_(i, integer(7))
        prefetch_line(builder, builder.gep(place, [builder.mul(unit, self.unit_stride)]))
        is_last = builder.icmp_signed("==", i, self.last)
        return builder.select(is_last, self.next_tile, builder.gep(place, [self.k_stride]))


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
            width = 2 * vector.count
            # By full tiles, of which a wide layer consists, and in the first pass over k.
            ahead = _Ahead(builder, weights, unit_stride, k_stride, k) if MR == 8 else None
            for tile_rows, tile_columns in _register_tiles(context, MR, 2):
                units = [builder.mul(integer(r), unit_stride) for r in tile_rows]
                places = [c * vector.count for c in tile_columns]
                sums = [ir.Constant(vector, None)] * (len(units) * len(places))
                sums = _add_products(
                    builder, k, weights, k_stride, units, rows, integer(width), places, sums, ahead
                )
                ahead = None
                for r, row_sums in zip(tile_rows, grid(sums, len(places)), strict=True):
                    for place, value in zip(places, row_sums, strict=True):
                        store_vector(builder, value, result, r * width + place)
            return context.get_dummy_value()

        n = types.intp
        return types.none(weight, n, n, n, n, panel, n, out, n), codegen

    return micro_kernel


def outer_tile(MR: int) -> Any:
    """Make the micro-kernel for MR rows of a gradient and up to `lanes` columns.

    ``out[r * out_stride + c] += sum over panels p and samples s of a[p, r, s] * d[p, s, c]``
    for c < n_columns, where ``a[p, r, 0]`` is at ``a_start + p * a_stride + r * lanes`` and
    ``d[p, s, 0]`` at ``d_start + p * d_stride + s * lanes``. What `out` holds counts as zero
    if `begins` is true.
    """

    @intrinsic
    def micro_kernel(
        typingctx, n_panels, a, a_start, a_stride, d, d_start, d_stride, n_columns, begins,
        out, out_start, out_stride,
    ):  # fmt: skip
        def codegen(context, builder, signature, args):
            n_panels, _, _, a_stride, _, _, d_stride, n_columns, begins, _, _, out_stride = args
            kinds = signature.args
            a_rows = address(context, builder, kinds[1], *args[1:3])
            d_rows = address(context, builder, kinds[4], *args[4:6])
            result = address(context, builder, kinds[9], *args[9:11])
            vector = vector_type(context, kinds[1])
            width = 2 * vector.count
            n_read = builder.select(begins, integer(0), n_columns)
            for tile_rows, tile_columns in _register_tiles(context, MR, 2):
                places = [c * vector.count for c in tile_columns]
                read, write = (
                    [
                        first_lanes(builder, vector, builder.sub(n, integer(place)))
                        for place in places
                    ]
                    * len(tile_rows)
                    for n in (n_read, n_columns)
                )
                starts = [builder.mul(integer(r), out_stride) for r in tile_rows]
                targets = [
                    builder.gep(result, [builder.add(start, integer(place))])
                    for start in starts
                    for place in places
                ]
                sums = [
                    masked_load(builder, target, vector, mask)
                    for target, mask in zip(targets, read, strict=True)
                ]
                loop = Loop(builder, n_panels, [a_rows, d_rows, *sums])
                a, d, *sums = loop.values
                units = [integer(r * width) for r in tile_rows]
                sums = _add_products(
                    builder, integer(width), a, integer(1), units, d, integer(width), places, sums
                )
                following = [builder.gep(a, [a_stride]), builder.gep(d, [d_stride])]
                _, _, *sums = loop.close([*following, *sums])
                for value, target, mask in zip(sums, targets, write, strict=True):
                    masked_store(builder, value, target, mask)
            return context.get_dummy_value()

        n = types.intp
        return types.none(n, a, n, n, d, n, n, n, types.boolean, out, n, n), codegen

    return micro_kernel


def dot_tile(KR: int, JR: int) -> Any:
    """Make the micro-kernel for KR x JR dot products over the samples of panels.

    ``out[r * out_stride + c] += sum over panels p and lanes of a[p, r] * d[p, c]``,
    where row r of panel p starts at ``a_start + p * a_stride + r * lanes``; likewise d.
    Lane i of an accumulator takes samples i, i + 16, i + 32 ... in order (of float32;
    8 for float64), then the lanes are added by a tree. What `out` holds counts as zero if
    `begins` is true.
    """

    @intrinsic
    def micro_kernel(
        typingctx, n_panels, a, a_start, a_stride, d, d_start, d_stride, begins,
        out, out_start, out_stride,
    ):  # fmt: skip
        def codegen(context, builder, signature, args):
            n_panels, _, _, a_stride, _, _, d_stride, begins, _, _, out_stride = args
            kinds = signature.args
            a_rows = address(context, builder, kinds[1], *args[1:3])
            d_rows = address(context, builder, kinds[4], *args[4:6])
            result = address(context, builder, kinds[8], *args[8:10])
            vector = vector_type(context, kinds[1])
            fma = fma_function(builder, vector)
            width = 2 * vector.count
            zero = ir.Constant(vector.element, 0.0)
            for tile_rows, tile_columns in _register_tiles(context, KR, JR):
                zeros = [ir.Constant(vector, None)] * (len(tile_rows) * len(tile_columns))
                loop = Loop(builder, n_panels, [a_rows, d_rows, *zeros])
                a, d, *sums = loop.values
                for half in (0, vector.count):
                    deltas = [
                        load_vector(builder, d, vector, half + width * c) for c in tile_columns
                    ]
                    new = []
                    for r, row_sums in zip(tile_rows, grid(sums, len(deltas)), strict=True):
                        x = load_vector(builder, a, vector, half + width * r)
                        new += [
                            builder.call(fma, [x, y, s])
                            for y, s in zip(deltas, row_sums, strict=True)
                        ]
                    sums = new
                following = [builder.gep(a, [a_stride]), builder.gep(d, [d_stride])]
                _, _, *sums = loop.close([*following, *sums])
                totals = grid(sum_lanes(builder, sums), len(tile_columns))
                for r, row_totals in zip(tile_rows, totals, strict=True):
                    row = builder.mul(integer(r), out_stride)
                    for c, total in zip(tile_columns, row_totals, strict=True):
                        place = builder.gep(result, [builder.add(row, integer(c))])
                        old = builder.select(begins, zero, builder.load(place))
                        builder.store(builder.fadd(old, total), place)
            return context.get_dummy_value()

        n = types.intp
        return types.none(n, a, n, n, d, n, n, types.boolean, out, n, n), codegen

    return micro_kernel


def _sum_of_products(squares: bool) -> Any:
    """Make the sum over an array of x * x, or else of x * 0, by lanes, then a tree."""
    n_chains = 4

    @intrinsic
    def operation(typingctx, array, start, count):
        def codegen(context, builder, signature, args):
            kinds = signature.args
            place = address(context, builder, kinds[0], *args[0:2])
            vector = vector_type(context, kinds[0])
            step = integer(n_chains * vector.count)

            def add(x, total):
                factor = x if squares else ir.Constant(x.type, None)
                return builder.call(fma_function(builder, x.type), [x, factor, total])

            zeros = [ir.Constant(vector, None)] * n_chains
            loop = Loop(builder, builder.sdiv(args[2], step), [place, *zeros])
            place, *totals = loop.values
            for chain, total in enumerate(totals):
                x = load_vector(builder, place, vector, chain * vector.count)
                totals[chain] = add(x, total)
            place, *totals = loop.close([builder.gep(place, [step]), *totals])
            total, *others = sum_lanes(builder, totals)
            for other in others:
                total = builder.fadd(total, other)

            loop = Loop(builder, builder.srem(args[2], step), [place, total])
            place, total = loop.values
            total = add(builder.load(place), total)
            _, total = loop.close([builder.gep(place, [integer(1)]), total])
            return total

        return array.dtype(array, types.intp, types.intp), codegen

    return operation


# The second is 0 if all elements are finite, else NaN.
sum_of_squares = _sum_of_products(squares=True)
sum_of_zeros = _sum_of_products(squares=False)


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
def transpose_block(typingctx, panels, start):
    """Transpose a block of `lanes` rows of a panel in place."""

    def codegen(context, builder, signature, args):
        block = address(context, builder, signature.args[0], *args)
        vector = vector_type(context, signature.args[0])
        width = 2 * vector.count

        def transposed(corner):
            places = [corner + i * width for i in range(vector.count)]
            rows = [load_vector(builder, block, vector, place) for place in places]
            return transpose(builder, rows)

        def write(rows, corner):
            for i, row in enumerate(rows):
                store_vector(builder, row, block, corner + i * width)

        upper_right, lower_left = vector.count, vector.count * width
        for corner in (0, lower_left + upper_right):
            write(transposed(corner), corner)
        upper, lower = transposed(upper_right), transposed(lower_left)
        write(upper, lower_left)
        write(lower, upper_right)
        return context.get_dummy_value()

    return types.none(panels, types.intp), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Have the cache line of an element fetched, without waiting for it."""

    def codegen(context, builder, signature, args):
        prefetch_line(builder, address(context, builder, signature.args[0], *args))
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen
