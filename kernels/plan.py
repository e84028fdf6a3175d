"""Where everything is: the flat parameter vector, a panel, the strips of work.

Plain numpy, computed once per fit. The kernels take the plan as an integer array, so
that one compiled kernel serves every depth and width.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .intrinsics import PANEL_BYTES

IntArray = npt.NDArray[np.int64]

# Columns of a plan; one row per layer of weights.
FAN_IN = 0
FAN_OUT = 1
ROWS = 2  # FAN_IN, and one more where there are biases
WEIGHT = 3  # start of the layer's ROWS x FAN_OUT matrix in the parameter vector
STRIDE = 4  # elements from one of its rows to the next
INPUT = 5  # starts of blocks within a panel, in elements: activations that come in,
OUTPUT = 6  # pre-activations, then activations, that go out,
DELTA = 7  # and the derivative of the loss by the pre-activations
SCRATCH = 8  # two more rows, the same in every layer
SIZE = 9  # elements of a whole panel, the same in every layer

# A mini-batch is worked through in super-blocks of this many bytes of panels, or of
# this many samples where that is more: the bound of the workspace. 2 MB is what the
# second-level caches of two cores hold; hundreds of samples pay for reading and writing
# a gradient that the caches do not hold.
SUPER_BLOCK_BYTES = 2 << 20
SUPER_BLOCK_SAMPLES = 512

# Panels whose gradient one thread sums by itself, in networks with few parameters. With 2,
# adding up the gradients makes an epoch of 28-64-1 in float64 take 16 % longer.
BLOCK_PANELS = 4

# Parameters beyond a second-level cache are read from further away once for so many panels.
# 784-1024-1024-10 on two threads: 7.74 instead of 8.20 ms for 1,000 rows, 4 panels 8.01.
CACHE_BYTES = 1 << 20
GROUP_PANELS = 2

# A model of time. In rows, each sample costs 1 for each vector of weights, 2 in layers with hidden
# deltas, and 30 for each layer. A panel costs 1 for each weight, 200 for each layer, and 10 for
# each hidden unit, whose sigmoids it takes. The model was fitted to the batch sizes, between 3 and
# 20 samples, at which rows and panels were equally fast for 22 networks, 10-1 to 400-400-10. It is
# off by a factor of 1.3 (one core of an Intel Xeon, Skylake, both dtypes).
_VECTORS_OF_A_LAYER = 30
_WEIGHTS_OF_A_LAYER = 200
_WEIGHTS_OF_A_UNIT = 10

# Elements of a matrix to one that is not zero, from which on the first layer takes entries.
ELEMENTS_PER_ENTRY = 8


def plan_network(sizes: Sequence[int], fit_intercept: bool, width: int) -> IntArray:
    """Lay out a network whose layers have `sizes` units, input and output included.

    `width` is how many samples stand side by side: `panel_lanes` in panels, 1 in rows.
    """
    bias = int(fit_intercept)
    plan = np.zeros((len(sizes) - 1, SIZE + 1), dtype=np.int64)
    weight = rows = 0
    for layer, (fan_in, fan_out) in zip(plan, pairwise(sizes), strict=True):
        layer[[FAN_IN, FAN_OUT, ROWS]] = fan_in, fan_out, fan_in + bias
        layer[[WEIGHT, STRIDE]] = weight, row_stride(fan_out)
        layer[INPUT] = rows * width
        weight += (fan_in + bias) * row_stride(fan_out)
        rows += fan_in + bias
    for layer in plan:
        layer[OUTPUT] = layer[INPUT] + layer[ROWS] * width
        layer[DELTA] = (rows + sizes[-1]) * width
        rows += delta_rows(int(layer[FAN_OUT]), width)
    rows += sizes[-1]
    plan[:, SCRATCH] = rows * width
    # An odd number of rows spreads the panels over all sets of a cache.
    plan[:, SIZE] = ((rows + 2) | 1) * width
    return plan


def row_stride(fan_out: int) -> int:
    """Return how far apart the rows of a layer's matrix are in the parameter vector.

    Usually `fan_out`. Rows a multiple of 512 bytes apart would compete for a few sets of
    the caches, where the forward pass reads a few columns of all rows: with 1,024 units
    of float32 it ran at 140 instead of 240 GFLOP/s. They get a cache line of zeros more.
    """
    return fan_out if fan_out % 128 else fan_out + 16


def transposed_blocks(fan_out: int, width: int) -> int:
    """Return how many blocks of `width` deltas are transposed for the gradient.

    A rest of more than half a block counts as a block.
    """
    return (fan_out + width // 2 - 1) // width


def delta_rows(fan_out: int, width: int) -> int:
    """Return how many rows of a panel the deltas of a layer take: whole blocks."""
    return max(fan_out, transposed_blocks(fan_out, width) * width)


def takes_entries(plan: IntArray, n_entries: int, n_samples: int) -> bool:
    """Return whether the first layer is to take a sparse matrix entry by entry.

    It needs room for as many sums as there are units where the inputs of a panel would be.
    """
    n_features = plan[0, FAN_IN]
    is_sparse = n_entries * ELEMENTS_PER_ENTRY <= n_samples * n_features
    return bool(is_sparse and plan[0, FAN_OUT] <= n_features)


def count_parameters(plan: IntArray) -> int:
    """Return the length of the parameter vector, what pads its rows included."""
    return int(plan[-1, WEIGHT] + plan[-1, ROWS] * plan[-1, STRIDE])


def panel_lanes(dtype: npt.DTypeLike) -> int:
    """Return how many samples a panel holds."""
    return PANEL_BYTES // np.dtype(dtype).itemsize


def min_panel_batch(plan: IntArray, dtype: npt.DTypeLike) -> int:
    """Return how many samples a mini-batch has to have to be faster in panels than in rows."""
    lanes = panel_lanes(dtype) // 2
    n_vectors = n_weights = 0
    for i, (n_inputs, fan_out) in enumerate(plan[:, [ROWS, FAN_OUT]].tolist()):
        # One unit has lanes over its inputs.
        vectors = -(-n_inputs // lanes) if fan_out == 1 else n_inputs * -(-fan_out // lanes)
        n_vectors += (vectors if i == 0 else 2 * vectors) + _VECTORS_OF_A_LAYER
        n_weights += n_inputs * fan_out + _WEIGHTS_OF_A_LAYER
        if i < len(plan) - 1:
            n_weights += fan_out * _WEIGHTS_OF_A_UNIT
    return -(-n_weights // n_vectors)


def super_block_panels(plan: IntArray, batch_size: int, dtype: npt.DTypeLike) -> int:
    """Return how many panels are worked on at once."""
    width = panel_lanes(dtype)
    bytes_each = int(plan[0, SIZE]) * np.dtype(dtype).itemsize
    most = max(SUPER_BLOCK_BYTES // bytes_each, SUPER_BLOCK_SAMPLES // width)
    return min(most, -(-batch_size // width))


def group_panels(n_bytes: int) -> int:
    """Return how many panels to take through the network at a time, by its parameters' size."""
    return GROUP_PANELS if n_bytes > CACHE_BYTES else 1


def share_panels(n_bytes: int, n_panels: int, n_workers: int) -> int:
    """Return how many of `n_panels` panels each of some workers takes at a time.

    `n_bytes` is the size of the parameters.
    """
    return min(group_panels(n_bytes), max(1, -(-n_panels // n_workers)))


def count_blocks(plan: IntArray, n_panels: int) -> int:
    """Return into how many blocks to divide panels, 0 where blocks do not pay.

    About `BLOCK_PANELS` to a block, but 2 blocks where there are 3 panels, so that two
    threads can share a batch of 100; a power of two, which threads can share evenly. A
    gradient must not be larger than a panel: at 0.98 of one, 30-100-10 in float64, two
    threads are 1.1 times as fast in blocks as in strips; at 1.3, 28-64-64-1, 0.97 times.
    """
    if count_parameters(plan) > plan[0, SIZE]:
        return 0
    n_blocks = max(-(-n_panels // BLOCK_PANELS), min(2, (n_panels + 1) // 2))
    return 1 << (n_blocks - 1).bit_length()


def new_panels(
    plan: IntArray, n_panels: int, width: int, dtype: npt.DTypeLike
) -> npt.NDArray[np.floating]:
    """Allocate panels, with the rows of ones that multiply the biases set."""
    size = int(plan[0, SIZE])
    panels = aligned_zeros(n_panels * size, dtype)
    by_row = panels.reshape(n_panels, size // width, width)
    for layer in plan:
        by_row[:, (layer[INPUT] // width + layer[FAN_IN]) : layer[OUTPUT] // width] = 1
    return panels


def aligned_zeros(count: int, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Allocate a vector of zeros that starts where a cache line does.

    numpy promises 16 bytes only, and a tile of weights would lie across two lines.
    """
    itemsize = np.dtype(dtype).itemsize
    return align(np.zeros(count + PANEL_BYTES // itemsize, dtype), count)


def align(buffer: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.floating]:
    """Return `count` elements of a buffer, from the start of a cache line on."""
    offset = -buffer.ctypes.data % PANEL_BYTES // buffer.itemsize
    return buffer[offset : offset + count]


def plan_strips(plan: IntArray) -> IntArray:
    """Cut every layer's matrix into strips of rows, the units of work of phase 2.

    Rows of the result are (layer, first row, last row + 1). Strips are multiples of 8
    rows, the micro-kernel's height, at most 32, so that a wide layer's deltas are read
    from memory once per 32 rows, and about 16 to a layer, so that threads share evenly.
    """
    strips = []
    for index, layer in enumerate(plan):
        height = min(32, 8 * -(-int(layer[ROWS]) // 128))
        starts = range(0, int(layer[ROWS]), height)
        strips += [(index, start, min(start + height, layer[ROWS])) for start in starts]
    return np.array(strips, dtype=np.int64)


def share_strips(plan: IntArray, strips: IntArray, n_threads: int) -> IntArray:
    """Return where each thread's run of strips starts and ends, equal in parameters."""
    cost = np.cumsum((strips[:, 2] - strips[:, 1]) * plan[strips[:, 0], STRIDE])
    shares = cost[-1] * np.arange(1, n_threads) / n_threads
    return np.concatenate([[0], np.searchsorted(cost, shares), [len(strips)]]).astype(np.int64)
