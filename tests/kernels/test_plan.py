"""The layout of parameters and panels, and the strips of work."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from ..reference import DTYPES, Array

planning = kernels.plan

NETWORKS = [(1, 1), (3, 2), (2, 2, 1), (28, 64, 1), (70, 5, 130, 10), (784, 300, 300, 300, 3)]

networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
widths = pytest.mark.parametrize("width", [1, 16, 32])
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def blocks(plan: Array, width: int) -> list[tuple[int, int]]:
    """Return where each block of a panel starts and ends, in order of their starts."""
    last = plan[-1]
    activations = [(layer[planning.INPUT], layer[planning.ROWS]) for layer in plan]
    logits = [(last[planning.OUTPUT], last[planning.FAN_OUT])]
    deltas = [(layer[planning.DELTA], layer[planning.FAN_OUT]) for layer in plan]
    scratch = [(last[planning.SCRATCH], 2)]
    starts = activations + logits + deltas + scratch
    return sorted((int(start), int(start + rows * width)) for start, rows in starts)


@networks
@intercepts
def test_parameters_are_one_matrix_after_another(sizes: Any, fit_intercept: bool) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, 32)
    start = 0
    for layer, (fan_in, fan_out) in zip(plan, pairwise(sizes), strict=True):
        assert_array_equal(layer[: planning.ROWS], [fan_in, fan_out])
        assert layer[planning.ROWS] == fan_in + fit_intercept
        assert layer[planning.WEIGHT] == start
        start += (fan_in + fit_intercept) * fan_out
    assert kernels.count_parameters(plan) == start


@networks
@intercepts
@widths
def test_blocks_of_a_panel_do_not_overlap(sizes: Any, fit_intercept: bool, width: int) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, width)
    in_order = blocks(plan, width)
    assert in_order[0][0] == 0
    for (_, end), (start, _) in pairwise(in_order):
        assert end <= start
    assert in_order[-1][1] <= plan[0, planning.SIZE]


@networks
@intercepts
@widths
def test_output_of_a_layer_is_input_of_the_next(
    sizes: Any, fit_intercept: bool, width: int
) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, width)
    assert_array_equal(plan[:-1, planning.OUTPUT], plan[1:, planning.INPUT])


@networks
@intercepts
@widths
def test_panel_has_an_odd_number_of_rows(sizes: Any, fit_intercept: bool, width: int) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, width)
    rows, rest = divmod(int(plan[0, planning.SIZE]), width)
    assert rest == 0
    assert rows % 2 == 1


@dtypes
@networks
@intercepts
def test_new_panels_are_zero_but_for_the_rows_of_ones(
    dtype: Any, sizes: Any, fit_intercept: bool
) -> None:
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network(sizes, fit_intercept, width)
    panels = kernels.new_panels(plan, 3, width, dtype)
    assert panels.dtype == dtype
    expected = np.zeros((3, plan[0, planning.SIZE] // width, width))
    if fit_intercept:
        for layer in plan:
            expected[:, layer[planning.INPUT] // width + layer[planning.FAN_IN]] = 1
    assert_array_equal(panels, expected.ravel())


@dtypes
def test_new_panels_start_where_a_row_of_cache_does(dtype: Any) -> None:
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network((3, 2), True, width)
    for n_panels in range(1, 20):
        panels = kernels.new_panels(plan, n_panels, width, dtype)
        assert panels.flags.c_contiguous
        assert panels.ctypes.data % (width * panels.itemsize) == 0


@dtypes
def test_panel_row_is_128_bytes(dtype: Any) -> None:
    assert kernels.panel_lanes(dtype) * np.dtype(dtype).itemsize == 128


@networks
@intercepts
def test_strips_cover_every_row_once_and_in_order(sizes: Any, fit_intercept: bool) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, 32)
    strips = kernels.plan_strips(plan)
    rows = [(layer, row) for layer, first, last in strips for row in range(first, last)]
    n_rows = plan[:, planning.ROWS]
    assert rows == [(layer, row) for layer in range(len(plan)) for row in range(n_rows[layer])]
    heights = strips[:, 2] - strips[:, 1]
    assert heights.min() >= 1
    assert heights.max() <= 32
    inner = strips[:, 2] < n_rows[strips[:, 0]]
    assert np.all(heights[inner] % 4 == 0)


@networks
@intercepts
@pytest.mark.parametrize("n_threads", [1, 2, 3, 7, 500])
def test_shares_take_every_strip_once(sizes: Any, fit_intercept: bool, n_threads: int) -> None:
    plan = kernels.plan_network(sizes, fit_intercept, 32)
    strips = kernels.plan_strips(plan)
    shares = kernels.share_strips(plan, strips, n_threads)
    assert shares.dtype == np.int64
    assert len(shares) == n_threads + 1
    assert shares[0] == 0
    assert shares[-1] == len(strips)
    assert np.all(np.diff(shares) >= 0)


def test_shares_of_a_wide_network_are_about_equal() -> None:
    plan = kernels.plan_network((784, 300, 10), True, 32)
    strips = kernels.plan_strips(plan)
    for n_threads in (2, 3, 4):
        shares = kernels.share_strips(plan, strips, n_threads)
        cost = (strips[:, 2] - strips[:, 1]) * plan[strips[:, 0], planning.FAN_OUT]
        costs = [cost[start:stop].sum() for start, stop in pairwise(shares)]
        # No further apart than the two strips at a share's ends.
        assert max(costs) - min(costs) <= 2 * cost.max()


@dtypes
@networks
def test_super_block_is_bounded_and_holds_a_small_batch(dtype: Any, sizes: Any) -> None:
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network(sizes, True, width)
    for batch_size in (1, width, width + 1, 10 * width):
        assert kernels.super_block_panels(plan, batch_size, dtype) == -(-batch_size // width)
    most = kernels.super_block_panels(plan, 10**9, dtype)
    n_bytes = most * plan[0, planning.SIZE] * np.dtype(dtype).itemsize
    assert n_bytes <= planning.SUPER_BLOCK_BYTES or most * width == planning.SUPER_BLOCK_SAMPLES


@networks
@intercepts
def test_rows_are_for_fewer_samples_than_a_panel_holds(sizes: Any, fit_intercept: bool) -> None:
    single, double = (
        kernels.min_panel_batch(
            kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype)), dtype
        )
        for dtype in (np.float32, np.float64)
    )
    # Its rows are worked on with vectors of half as many lanes.
    assert 2 <= double <= min(single, 16)
    assert single <= 32


def test_blocks_are_a_power_of_two_of_four_panels_each() -> None:
    plan = kernels.plan_network((28, 64, 1), True, 32)
    n_panels = (1, 2, 3, 4, 5, 8, 9, 16, 17, 100)
    counts = [kernels.count_blocks(plan, n) for n in n_panels]
    assert counts == [1, 1, 2, 2, 2, 2, 4, 4, 8, 32]


def test_networks_of_many_parameters_have_no_blocks() -> None:
    plan = kernels.plan_network((784, 128, 10), True, 32)
    assert kernels.count_blocks(plan, 4) == 0


def test_no_rows_lie_where_they_compete_for_the_same_sets_of_a_cache() -> None:
    for fan_out in range(1, 2_100):
        stride = kernels.row_stride(fan_out)
        assert stride % 128 != 0
        assert stride == fan_out or fan_out % 128 == 0


def test_transposed_deltas_have_room_for_whole_blocks() -> None:
    rows = [kernels.delta_rows(fan_out, 32) for fan_out in (1, 16, 17, 32, 33, 48, 49, 64)]
    assert rows == [1, 16, 32, 32, 33, 48, 64, 64]
    assert kernels.delta_rows(9, 1) == 9


@dtypes
def test_vectors_start_with_a_cache_line(dtype: Any) -> None:
    for count in (1, 33, 1_000):
        vector = kernels.aligned_zeros(count, dtype)
        assert vector.size == count
        assert vector.ctypes.data % 128 == 0


def test_panels_are_taken_together_where_parameters_outgrow_a_cache() -> None:
    assert kernels.group_panels(planning.CACHE_BYTES) == 1
    assert kernels.group_panels(planning.CACHE_BYTES + 4) == planning.GROUP_PANELS


@pytest.mark.parametrize(
    ("n_panels", "n_workers", "expected"),
    [(1, 1, 1), (1, 7, 1), (2, 1, 2), (2, 2, 1), (3, 2, 2), (100, 3, 2), (7, 4, 2), (7, 7, 1)],
)
def test_workers_take_panels_together_where_there_are_enough(
    n_panels: int, n_workers: int, expected: int
) -> None:
    large = planning.CACHE_BYTES + 4
    assert kernels.share_panels(large, n_panels, n_workers) == expected
    assert kernels.share_panels(planning.CACHE_BYTES, n_panels, n_workers) == 1


def test_no_panels_are_shared_one_at_a_time() -> None:
    assert kernels.share_panels(planning.CACHE_BYTES + 4, 0, 2) == 1
