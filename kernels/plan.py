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
INPUT = 4  # starts of blocks within a panel, in elements: activations that come in,
OUTPUT = 5  # pre-activations, then activations, that go out,
DELTA = 6  # and the derivative of the loss by the pre-activations
SCRATCH = 7  # two more rows, the same in every layer
SIZE = 8  # elements of a whole panel, the same in every layer

# A mini-batch is worked through in super-blocks of this many bytes of panels, or of
# this many samples where that is more: the bound of the workspace. 2 MB is what the
# second-level caches of two cores hold; a gradient tile needs hundreds of samples to
# pay for its sum over lanes.
SUPER_BLOCK_BYTES = 2 << 20
SUPER_BLOCK_SAMPLES = 512

# Panels whose gradient one thread sums by itself, in networks with few parameters. Fewer
# would pay for adding lanes and gradients more often.
BLOCK_PANELS = 4


def plan_network(sizes: Sequence[int], fit_intercept: bool, width: int) -> IntArray:
    """Lay out a network whose layers have `sizes` units, input and output included.

    `width` is how many samples stand side by side: `panel_lanes` in panels, 1 in rows.
    """
    bias = int(fit_intercept)
    plan = np.zeros((len(sizes) - 1, SIZE + 1), dtype=np.int64)
    weight = rows = 0
    for layer, (fan_in, fan_out) in zip(plan, pairwise(sizes), strict=True):
        layer[[FAN_IN, FAN_OUT, ROWS, WEIGHT]] = fan_in, fan_out, fan_in + bias, weight
        layer[INPUT] = rows * width
        weight += (fan_in + bias) * fan_out
        rows += fan_in + bias
    for layer in plan:
        layer[OUTPUT] = layer[INPUT] + layer[ROWS] * width
        layer[DELTA] = (rows + sizes[-1]) * width
        rows += layer[FAN_OUT]
    rows += sizes[-1]
    plan[:, SCRATCH] = rows * width
    # An odd number of rows spreads the panels over all sets of a cache.
    plan[:, SIZE] = ((rows + 2) | 1) * width
    return plan


def count_parameters(plan: IntArray) -> int:
    """Return the length of the parameter vector."""
    return int(plan[-1, WEIGHT] + plan[-1, ROWS] * plan[-1, FAN_OUT])


def panel_lanes(dtype: npt.DTypeLike) -> int:
    """Return how many samples a panel holds."""
    return PANEL_BYTES // np.dtype(dtype).itemsize


def super_block_panels(plan: IntArray, batch_size: int, dtype: npt.DTypeLike) -> int:
    """Return how many panels are worked on at once."""
    width = panel_lanes(dtype)
    bytes_each = int(plan[0, SIZE]) * np.dtype(dtype).itemsize
    most = max(SUPER_BLOCK_BYTES // bytes_each, SUPER_BLOCK_SAMPLES // width)
    return min(most, -(-batch_size // width))


def count_blocks(plan: IntArray, n_panels: int) -> int:
    """Return into how many blocks to divide panels, 0 where blocks do not pay.

    About `BLOCK_PANELS` to a block; a power of two, which threads can share evenly. A
    block's gradient must be at most half the size of its panels.
    """
    if 2 * count_parameters(plan) > BLOCK_PANELS * plan[0, SIZE]:
        return 0
    return 1 << (-(-n_panels // BLOCK_PANELS) - 1).bit_length()


def new_panels(
    plan: IntArray, n_panels: int, width: int, dtype: npt.DTypeLike
) -> npt.NDArray[np.floating]:
    """Allocate panels, with the rows of ones that multiply the biases set."""
    size = int(plan[0, SIZE])
    panels = _aligned_zeros(n_panels * size, dtype)
    by_row = panels.reshape(n_panels, size // width, width)
    for layer in plan:
        by_row[:, (layer[INPUT] // width + layer[FAN_IN]) : layer[OUTPUT] // width] = 1
    return panels


def _aligned_zeros(count: int, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Allocate zeros that start where a cache line does; numpy promises 16 bytes."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(count + PANEL_BYTES // itemsize, dtype)
    offset = -raw.ctypes.data % PANEL_BYTES // itemsize
    return raw[offset : offset + count]


def plan_strips(plan: IntArray) -> IntArray:
    """Cut every layer's matrix into strips of rows, the units of work of phase 2.

    Rows of the result are (layer, first row, last row + 1). Strips are multiples of 4
    rows, the micro-kernel's height, at most 32, so that a wide layer's deltas are read
    from memory once per 32 rows, and about 16 to a layer, so that threads share evenly.
    """
    strips = []
    for index, layer in enumerate(plan):
        height = min(32, 4 * -(-int(layer[ROWS]) // 64))
        starts = range(0, int(layer[ROWS]), height)
        strips += [(index, start, min(start + height, layer[ROWS])) for start in starts]
    return np.array(strips, dtype=np.int64)


def share_strips(plan: IntArray, strips: IntArray, n_threads: int) -> IntArray:
    """Return where each thread's run of strips starts and ends, equal in parameters."""
    cost = np.cumsum((strips[:, 2] - strips[:, 1]) * plan[strips[:, 0], FAN_OUT])
    shares = cost[-1] * np.arange(1, n_threads) / n_threads
    return np.concatenate([[0], np.searchsorted(cost, shares), [len(strips)]]).astype(np.int64)
