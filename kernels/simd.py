"""Vector micro-kernels, as LLVM code; everything dense is built on the first three.

A *panel* holds the values of some units for `lanes` samples (32 of float32, 16 of
float64), unit-major: element ``[unit, lane]`` of a ``(units, lanes)`` block. A row is
128 bytes, two vectors of 64; LLVM splits a vector where the processor's are narrower.

- `multiply_units`: tiles of units x one panel, a chain of fused multiply-adds over k per
  element. A unit's weights are a column of the matrix in the forward pass, a row for hidden
  deltas.
- `outer_products`: tiles of rows x up to `lanes` columns of a weight gradient, a chain over the
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

from .columns import vectors_for
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

# Steps of a chain that are written out one after the other, where the next tile is fetched.
_STEPS = 4


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
    places: list[Any], sums: list[Any], next_tile: "_NextTile | None" = None,
) -> list[Any]:  # fmt: skip
    """Add outer products over k to a tile of accumulators, one row of it for each unit.

    Step i multiplies ``weights[i * k_stride + unit]`` by the vectors that start at
    ``rows[i * width + place]``. If there is a next tile, it is fetched, in rounds of `_STEPS`.
    """
    if next_tile:
        rounds = builder.sdiv(k, integer(_STEPS))
        weights, rows, sums = _add_rounds(
            builder, rounds, _STEPS, weights, k_stride, units, rows, width, places, sums, next_tile
        )
        k = builder.srem(k, integer(_STEPS))
    _, _, sums = _add_rounds(builder, k, 1, weights, k_stride, units, rows, width, places, sums)
    return sums


def _add_rounds(
    builder: Any, n_rounds: Any, n_steps: int, weights: Any, k_stride: Any, units: list[Any],
    rows: Any, width: Any, places: list[Any], sums: list[Any],
    next_tile: "_NextTile | None" = None,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """Add rounds of `n_steps` steps; return the weights and rows that follow, and the sums."""
    steps = integer(n_steps)
    loop = Loop(builder, n_rounds, [weights, rows, *sums])
    weights, rows, *sums = loop.values
    if next_tile:
        next_tile.fetch(builder, loop.index)
    for i in range(n_steps):
        row = builder.gep(rows, [builder.mul(integer(i), width)])
        step_weights = builder.gep(weights, [builder.mul(integer(i), k_stride)])
        sums = _add_product(builder, step_weights, units, row, places, sums)
    following = [
        builder.gep(weights, [builder.mul(steps, k_stride)]),
        builder.gep(rows, [builder.mul(steps, width)]),
    ]
    weights, rows, *sums = loop.close([*following, *sums])
    return weights, rows, sums


def _add_product(
    builder: Any, weights: Any, units: list[Any], rows: Any, places: list[Any], sums: list[Any]
) -> list[Any]:
    vector = sums[0].type
    fma = fma_function(builder, vector)
    inputs = [load_vector(builder, rows, vector, place) for place in places]
    new = []
    for unit, row_sums in zip(units, grid(sums, len(places)), strict=True):
        w = splat(builder, builder.load(builder.gep(weights, [unit])), vector)
        new += [builder.call(fma, [w, x, s]) for x, s in zip(inputs, row_sums, strict=True)]
    return new


def multiply_units(*, by_columns: bool) -> Any:
    """Make the product of a matrix and some panels.

    ``target[j, :] = sum over i < k of weight[start + i * stride + j] * source[i, :]`` for
    j < n_units, or else, not by columns, of ``weight[start + j * stride + i]``; those of panel p
    are `source_stride` and `target_stride` elements after those of the one before. What `target`
    holds counts as zero if `begins` is true; else the sums go on from it. The units are taken in
    tiles, and each through all the panels before the next, so that a matrix beyond the caches is
    read once for all.

    With both strides of the weights at run time, their addresses were more instructions than the
    products: 88 instead of 130 GFLOP/s in float32 for k = 28, where the processor could do 153 (one
    core of an Intel Xeon, Skylake, 2.5 GHz).
    """

    @intrinsic
    def operation(
        typingctx, weight, start, stride, n_units, k, begins, n_panels,
        source, source_start, source_stride, target, target_start, target_stride,
    ):  # fmt: skip
        def codegen(context, builder, signature, args):
            _, _, stride, left, k, begins, n_panels, _, _, source_stride, _, _, target_stride = args
            kinds = signature.args
            weights = address(context, builder, kinds[0], *args[0:2])
            first_panel = address(context, builder, kinds[7], *args[7:9])
            first_result = address(context, builder, kinds[10], *args[10:12])
            vector = vector_type(context, kinds[10])
            # All lanes or none, and not a branch, with which a first fit took 0.5 s more of 29.
            n_held = builder.select(begins, integer(0), integer(vector.count))
            held = first_lanes(builder, vector, n_held)
            for height in (8, 4, 2, 1):
                n = integer(height)
                tile = _Tile(builder, vector, height, stride, by_columns)
                loop = Loop(builder, builder.sdiv(left, n), [weights, first_result])
                weights, here = loop.values
                panels = Loop(builder, n_panels, [first_panel, here])
                panel, result = panels.values
                tile.multiply(context, weights, k, held, panel, result)
                panels.close(
                    [builder.gep(panel, [source_stride]), builder.gep(result, [target_stride])]
                )
                following = [
                    builder.gep(weights, [builder.mul(n, tile.unit_stride)]),
                    builder.gep(here, [integer(height * 2 * vector.count)]),
                ]
                weights, first_result = loop.close(following)
                left = builder.srem(left, n)
            return context.get_dummy_value()

        n = types.intp
        kinds = weight, n, n, n, n, types.boolean, n, source, n, n, target, n, n
        return types.none(*kinds), codegen

    return operation


class _NextTile:
    """The weights of the tile after one of 8 units, fetched while that one's are multiplied.

    Columns of a wide matrix are a page apart, which no processor fetches by itself. From
    memory, 1,024 x 1,024 of float64 ran at 42 GFLOP/s without and at 104 with weights fetched
    128 steps ahead, rows of it at 86 and 124; 64 steps ahead at 75 (AMD EPYC, Zen 5, one core,
    before `dense.block_of_steps`).
    """

    def __init__(self, tile: "_Tile", weights: Any) -> None:
        self.tile = tile
        offset = tile.builder.mul(integer(8), tile.unit_stride)
        self.weights = tile.builder.gep(weights, [offset])

    def fetch(self, builder: Any, i: Any) -> None:
        """Have lines fetched in round `i`."""
        tile, line = self.tile, self.tile.vector.count
        first = builder.mul(builder.mul(i, integer(_STEPS)), tile.k_stride)
        if tile.by_columns:
            lines = [builder.mul(integer(step), tile.k_stride) for step in range(_STEPS)]
        else:
            # All that one of 8 rows needs in 8 rounds.
            unit = builder.mul(builder.and_(i, integer(7)), tile.unit_stride)
            lines = [builder.add(unit, integer(place)) for place in range(0, 8 * _STEPS, line)]
        for offset in lines:
            prefetch_line(builder, builder.gep(self.weights, [builder.add(first, offset)]))


class _Tile:
    """The micro-kernel for some units and one panel, a chain over k per element."""

    def __init__(
        self, builder: Any, vector: ir.VectorType, height: int, stride: Any, by_columns: bool
    ) -> None:
        self.builder, self.vector, self.height = builder, vector, height
        self.unit_stride, self.k_stride = (integer(1), stride)[:: 1 if by_columns else -1]
        self.units = [
            integer(r) if by_columns else builder.mul(integer(r), stride) for r in range(height)
        ]
        self.by_columns = by_columns

    def multiply(
        self, context: Any, weights: Any, k: Any, held: Any, rows: Any, result: Any
    ) -> None:
        """Build the product of the units whose weights start at a place."""
        builder, vector = self.builder, self.vector
        zero = ir.Constant(vector, None)
        width = 2 * vector.count
        # By full tiles, of which a wide layer consists, and in the first pass over k.
        next_tile = _NextTile(self, weights) if self.height == 8 else None
        for tile_rows, tile_columns in _register_tiles(context, self.height, 2):
            units = [self.units[r] for r in tile_rows]
            places = [c * vector.count for c in tile_columns]
            targets = [r * width + place for r in tile_rows for place in places]
            sums = [
                builder.select(held, load_vector(builder, result, vector, target), zero)
                for target in targets
            ]
            sums = _add_products(
                builder, k, weights, self.k_stride, units, rows, integer(width), places, sums,
                next_tile,
            )  # fmt: skip
            next_tile = None
            for target, value in zip(targets, sums, strict=True):
                store_vector(builder, value, result, target)


@intrinsic
def outer_products(
    typingctx, n_samples, a, a_start, a_stride, d, d_start, d_stride, n_rows, n_columns, begins,
    out, out_start, out_stride,
):  # fmt: skip
    """Add to rows of a gradient and up to `lanes` columns the products over all samples.

    ``out[r * out_stride + c] += sum over panels p and samples s of a[p, r, s] * d[p, s, c]``
    for r < n_rows and c < n_columns, where ``a[p, r, 0]`` is at ``a_start + p * a_stride + r *
    lanes`` and ``d[p, s, 0]`` at ``d_start + p * d_stride + s * lanes``. What `out` holds counts as
    zero if `begins` is true.
    """

    def codegen(context, builder, signature, args):
        n_samples, _, _, a_stride, _, _, d_stride, left, n_columns, begins, _, _, out_stride = args
        kinds = signature.args
        a_rows = address(context, builder, kinds[1], *args[1:3])
        d_rows = address(context, builder, kinds[4], *args[4:6])
        result = address(context, builder, kinds[10], *args[10:12])
        vector = vector_type(context, kinds[1])
        n_read = builder.select(begins, integer(0), n_columns)
        for height in (8, 4, 1):
            n = integer(height)
            loop = Loop(builder, builder.sdiv(left, n), [a_rows, result])
            a, here = loop.values
            next_tile = builder.gep(here, [builder.mul(n, out_stride)])
            if height == 8:
                # 190 -> 206 GFLOP/s where the gradient is beyond the caches.
                _prefetch_rows(builder, next_tile, out_stride, vector)
            for rows, columns in _register_tiles(context, height, 2):
                _outer_tile(
                    builder, vector, rows, columns, n_samples, a, a_stride, d_rows, d_stride,
                    n_read, n_columns, here, out_stride,
                )  # fmt: skip
            a_rows, result = loop.close(
                [builder.gep(a, [integer(height * 2 * vector.count)]), next_tile]
            )
            left = builder.srem(left, n)
        return context.get_dummy_value()

    n = types.intp
    return types.none(n, a, n, n, d, n, n, n, n, types.boolean, out, n, n), codegen


def _prefetch_rows(builder: Any, place: Any, stride: Any, vector: ir.VectorType) -> None:
    """Have 8 rows of two vectors fetched."""
    for row in range(8):
        here = builder.gep(place, [builder.mul(integer(row), stride)])
        prefetch_line(builder, here)
        prefetch_line(builder, builder.gep(here, [integer(vector.count)]))


def _outer_tile(
    builder: Any, vector: ir.VectorType, rows: range, columns: range, n_samples: Any,
    a_rows: Any, a_stride: Any, d_rows: Any, d_stride: Any, n_read: Any, n_columns: Any,
    result: Any, out_stride: Any,
) -> None:  # fmt: skip
    """Build the sums of some rows and some vectors of columns, all panels in a loop."""
    width = 2 * vector.count
    places = [c * vector.count for c in columns]
    read, write = (
        [first_lanes(builder, vector, builder.sub(n, integer(place))) for place in places]
        * len(rows)
        for n in (n_read, n_columns)
    )
    starts = [builder.mul(integer(r), out_stride) for r in rows]
    targets = [
        builder.gep(result, [builder.add(start, integer(place))])
        for start in starts
        for place in places
    ]
    sums = [
        masked_load(builder, target, vector, mask)
        for target, mask in zip(targets, read, strict=True)
    ]
    loop = Loop(builder, vectors_for(builder, n_samples, width), [n_samples, a_rows, d_rows, *sums])
    left, a, d, *sums = loop.values
    units = [integer(r * width) for r in rows]
    # Rounds of samples, the last of which may be none: their deltas are zero.
    is_full = builder.icmp_signed(">", left, integer(width))
    rounds = vectors_for(builder, builder.select(is_full, integer(width), left), _STEPS)
    _, _, sums = _add_rounds(
        builder, rounds, _STEPS, a, integer(1), units, d, integer(width), places, sums
    )
    following = [builder.sub(left, integer(width)), builder.gep(a, [a_stride])]
    _, _, _, *sums = loop.close([*following, builder.gep(d, [d_stride]), *sums])
    for value, target, mask in zip(sums, targets, write, strict=True):
        masked_store(builder, value, target, mask)


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
