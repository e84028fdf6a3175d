"""Forward and back: panels of samples through the network, with all that they leave behind."""

from typing import Any

from ._jit import inline, paste
from .dense import (
    backward_units,
    block_of_steps,
    forward_units,
    multiply_columns,
    transpose_deltas,
)
from .entries import forward_entries
from .intrinsics import lanes
from .loss import output_loss
from .panel import gather_columns, gather_features, prefetch_rows
from .plan import (
    CACHE_BYTES,
    DELTA,
    FAN_IN,
    FAN_OUT,
    INPUT,
    OUTPUT,
    ROWS,
    SCRATCH,
    SIZE,
    STRIDE,
    WEIGHT,
    group_panels,
)
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative

_group_panels = inline(group_panels)
# Units of the first layer that are worked out before more rows are fetched.
_UNITS = 16


@paste
def _forward_first_layer(
    plan: Any, params: Any, panels: Any, first: int, n_panels: int,
    X: Any, order: Any, first_ahead: int, n_ahead: int,
) -> None:  # fmt: skip
    """Work out the sums of the first layer, and have rows fetched meanwhile, a few at a time."""
    rows = plan[0, ROWS]
    fan_out = plan[0, FAN_OUT]
    size = plan[0, SIZE]
    stride = plan[0, STRIDE]
    block = block_of_steps(rows)
    n_parts = ((rows + block - 1) // block) * ((fan_out + _UNITS - 1) // _UNITS)
    n_each = (n_ahead + n_parts - 1) // n_parts
    for i in range(0, rows, block):
        k = min(block, rows - i)
        for unit in range(0, fan_out, _UNITS):
            n_units = min(_UNITS, fan_out - unit)
            multiply_columns(
                params, plan[0, WEIGHT] + i * stride + unit, stride, n_units, k, i == 0, n_panels,
                panels, first + plan[0, INPUT] + i * lanes(panels), size,
                panels, first + plan[0, OUTPUT] + unit * lanes(panels), size,
            )  # fmt: skip
            prefetch_rows(X, plan[0, FAN_IN], order, first_ahead, min(n_each, n_ahead))
            first_ahead += n_each
            n_ahead -= n_each


@paste
def forward_panels(
    plan: Any, params: Any, panels: Any, first: int, n_panels: int,
    X: Any, indices: Any, indptr: Any, order: Any, place: int, n_samples: int, by_entries: bool,
    first_ahead: int, n_ahead: int,
) -> None:  # fmt: skip
    """Take some panels, of which one starts at `first`, from their inputs to their logits.

    Their inputs are there, but `by_entries`: then they are those of the samples
    ``order[place : place + n_samples]``.

    Meanwhile have the rows ``order[first_ahead : first_ahead + n_ahead]`` of X fetched,
    those that there are. They come from beyond the caches: 8 us a mini-batch of 28-64-1.
    A few at a time, those of 784-128-10 come while products keep the core busy.
    """
    width = lanes(panels)
    size = plan[0, SIZE]
    if indptr is not None and by_entries:
        for p in range(n_panels):
            count = min(width, n_samples - p * width)
            panel = first + p * size
            forward_entries(
                X, indices, indptr, order, place + p * width, count, plan, params, panels, panel
            )
    else:
        _forward_first_layer(plan, params, panels, first, n_panels, X, order, first_ahead, n_ahead)
    for i in range(plan.shape[0]):
        n_units = plan[i, FAN_OUT]
        out = first + plan[i, OUTPUT]
        if i > 0:
            forward_units(
                params, plan[i, WEIGHT], plan[i, STRIDE], n_units, plan[i, ROWS], n_panels,
                panels, first + plan[i, INPUT], size, panels, out, size,
            )  # fmt: skip
        if i < plan.shape[0] - 1:
            for p in range(n_panels):
                apply_sigmoid(panels, out + p * size, n_units * width)


@paste
def backward_panels(plan: Any, params: Any, panels: Any, first: int, n_panels: int) -> None:
    """Take some panels' deltas from the outputs back to the first hidden layer.

    Each layer's are left as `gradient_rows` wants them.
    """
    width = lanes(panels)
    size = plan[0, SIZE]
    for i in range(plan.shape[0] - 1, 0, -1):
        fan_in = plan[i, FAN_IN]
        fan_out = plan[i, FAN_OUT]
        a = first + plan[i, INPUT]
        delta = first + plan[i - 1, DELTA]
        backward_units(
            params, plan[i, WEIGHT], plan[i, STRIDE], fan_in, fan_out, n_panels,
            panels, first + plan[i, DELTA], size, panels, delta, size,
        )  # fmt: skip
        for p in range(0, n_panels * size, size):
            apply_sigmoid_derivative(panels, a + p, panels, delta + p, fan_in * width)
            transpose_deltas(panels, first + plan[i, DELTA] + p, fan_out)
    for p in range(0, n_panels * size, size):
        transpose_deltas(panels, first + plan[0, DELTA] + p, plan[0, FAN_OUT])


@paste
def sample_phase(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any, first: int, n_samples: int,
    plan: Any, params: Any, loss: int, by_entries: bool,
    panels: Any, panel_losses: Any, first_panel: int, last_panel: int, worker: int,
) -> None:  # fmt: skip
    """Phase 1 for some panels of a super-block that starts at sample `first`."""
    width = lanes(panels)
    size = plan[0, SIZE]
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    group = _group_panels(params.size * params.itemsize)
    # This worker's next rows are those of the same panels of the next mini-batch; of one
    # that the caches do not hold, those of the panels beside, in the worker's direction.
    ahead = n_samples
    if n_samples * plan[0, FAN_IN] * X.itemsize > CACHE_BYTES:
        ahead = (last_panel - first_panel) * (width if worker == 0 else -width)
    for begin in range(first_panel, last_panel, group):
        end = min(begin + group, last_panel)
        for p in range(begin, end):
            start = first + p * width
            count = min(width, n_samples - p * width)
            delta = p * size + plan[last, DELTA]
            if not by_entries:
                gather_features(
                    X, indices, indptr, plan[0, FAN_IN], order, start, count, panels, p * size
                )
            gather_columns(Y, n_outputs, order, start, count, panels, delta, width)
        n_ahead = (end - begin) * width if indptr is None else 0
        forward_panels(
            plan, params, panels, begin * size, end - begin,
            X, indices, indptr, order, first + begin * width, n_samples - begin * width,
            by_entries, max(0, first + begin * width + ahead), n_ahead,
        )  # fmt: skip
        for p in range(begin, end):
            panel = p * size
            panel_losses[p] = output_loss(
                loss, Y, panels, panel + plan[last, OUTPUT], panel + plan[last, DELTA],
                panel + plan[0, SCRATCH], n_outputs, width, min(width, n_samples - p * width),
                weights, order, first + p * width,
            )  # fmt: skip
        backward_panels(plan, params, panels, begin * size, end - begin)
