"""Mini-batch gradient descent: a run of mini-batches in one kernel call.

A mini-batch is two phases, each one parallel loop. Phase 1 takes blocks of samples
forward through all layers and back; phase 2 takes strips of parameters, sums each one's
gradient over all samples in their order, and steps the optimiser while the strip is in
cache. No two threads write to one place, no order depends on their number.
"""

from typing import Any

from numba import prange

from ._jit import device, kernel, paste
from .dense import gradient_rows, multiply_panels, transpose_deltas
from .intrinsics import lanes
from .loss import output_loss
from .panel import gather, gather_columns, prefetch_rows
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SCRATCH, SIZE, STRIDE, WEIGHT
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative
from .simd import sum_of_squares
from .update import ALPHA, step_size, update

# Parameters that outgrow the second-level cache are read once for so many panels.
_CACHE_BYTES = 1 << 20
_GROUP = 4
# Units of the first layer that are worked out before more rows are fetched.
_UNITS = 16


@device
def forward_units(
    plan: Any, layer: int, first_unit: int, n_units: int,
    params: Any, panels: Any, first: int, n_panels: int,
) -> None:  # fmt: skip
    """Work out some units of a layer for some panels, of which one starts at `first`."""
    width = lanes(panels)
    size = plan[0, SIZE]
    out = first + plan[layer, OUTPUT] + first_unit * width
    multiply_panels(
        params, plan[layer, WEIGHT] + first_unit, 1, plan[layer, STRIDE], n_units,
        plan[layer, ROWS], n_panels, panels, first + plan[layer, INPUT], size, panels, out, size,
    )  # fmt: skip
    if layer < plan.shape[0] - 1:
        for p in range(n_panels):
            apply_sigmoid(panels, out + p * size, n_units * width)


@paste
def forward_panels(
    plan: Any, params: Any, panels: Any, first: int, n_panels: int,
    X: Any, order: Any, first_ahead: int, n_ahead: int,
) -> None:  # fmt: skip
    """Take some panels, of which one starts at `first`, from their inputs to their logits.

    Meanwhile have the rows ``order[first_ahead : first_ahead + n_ahead]`` of X fetched,
    those that there are. They come from beyond the caches: 8 us a mini-batch of 28-64-1.
    A few at a time, those of 784-128-10 come while products keep the core busy.
    """
    fan_out = plan[0, FAN_OUT]
    for unit in range(0, fan_out, _UNITS):
        n_units = min(_UNITS, fan_out - unit)
        forward_units(plan, 0, unit, n_units, params, panels, first, n_panels)
        done = n_ahead * unit // fan_out
        n_now = n_ahead * (unit + n_units) // fan_out - done
        prefetch_rows(X, plan[0, FAN_IN], order, first_ahead + done, n_now)
    for i in range(1, plan.shape[0]):
        forward_units(plan, i, 0, plan[i, FAN_OUT], params, panels, first, n_panels)


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
        multiply_panels(
            params, plan[i, WEIGHT], plan[i, STRIDE], 1, fan_in, fan_out, n_panels,
            panels, first + plan[i, DELTA], size, panels, delta, size,
        )  # fmt: skip
        for p in range(0, n_panels * size, size):
            apply_sigmoid_derivative(panels, a + p, panels, delta + p, fan_in * width)
            transpose_deltas(panels, first + plan[i, DELTA] + p, fan_out)
    for p in range(0, n_panels * size, size):
        transpose_deltas(panels, first + plan[0, DELTA] + p, plan[0, FAN_OUT])


@paste
def sample_phase(
    X: Any, Y: Any, order: Any, first: int, n_samples: int, plan: Any, params: Any, loss: int,
    panels: Any, panel_losses: Any, first_panel: int, last_panel: int,
) -> None:  # fmt: skip
    """Phase 1 for some panels of a super-block that starts at sample `first`."""
    width = lanes(panels)
    size = plan[0, SIZE]
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    group = _GROUP if params.size * params.itemsize > _CACHE_BYTES else 1
    for begin in range(first_panel, last_panel, group):
        end = min(begin + group, last_panel)
        for p in range(begin, end):
            start = first + p * width
            count = min(width, n_samples - p * width)
            delta = p * size + plan[last, DELTA]
            gather(X, plan[0, FAN_IN], order, start, count, panels, p * size)
            gather_columns(Y, n_outputs, order, start, count, panels, delta, width)
        # This thread's next panels are the next, or its first of the next batch.
        following = end if end < last_panel else n_samples // width + first_panel
        forward_panels(
            plan, params, panels, begin * size, end - begin,
            X, order, first + following * width, (end - begin) * width,
        )  # fmt: skip
        for p in range(begin, end):
            panel = p * size
            panel_losses[p] = output_loss(
                loss, panels, panel + plan[last, OUTPUT], panel + plan[last, DELTA],
                panel + plan[0, SCRATCH], n_outputs, width, min(width, n_samples - p * width),
            )  # fmt: skip
        backward_panels(plan, params, panels, begin * size, end - begin)


@paste
def parameter_phase(
    plan: Any, strips: Any, first_strip: int, last_strip: int, params: Any, grad: Any, state: Any,
    panels: Any, n_panels: int, begins: bool, ends: bool, batch_size: int,
    solver: int, hyper: Any, rate: float, strip_squares: Any,
) -> None:  # fmt: skip
    """Phase 2 for some strips: add one super-block's gradient; step after the last."""
    for s in range(first_strip, last_strip):
        layer = strips[s, 0]
        stride = plan[layer, STRIDE]
        weight = plan[layer, WEIGHT]
        start = weight + strips[s, 1] * stride
        stop = weight + strips[s, 2] * stride
        rows = plan[layer, INPUT] + strips[s, 1] * lanes(panels)
        gradient_rows(
            n_panels, panels, rows, plan[0, SIZE], panels, plan[layer, DELTA], plan[0, SIZE],
            strips[s, 2] - strips[s, 1], plan[layer, FAN_OUT], begins, grad, start, stride,
        )  # fmt: skip
        if ends:
            # The penalty is on weights, not on the row of biases.
            biases = min(stop, weight + plan[layer, FAN_IN] * stride)
            alpha = hyper[ALPHA]
            if alpha > 0.0:
                strip_squares[s] = sum_of_squares(params, start, biases - start)
            update(solver, params, grad, state, start, biases, alpha, batch_size, rate, hyper)
            update(solver, params, grad, state, biases, stop, 0.0, batch_size, rate, hyper)


@kernel
def train_batches(
    X: Any, Y: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, strips: Any, shares: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, strip_squares: Any, total_loss: Any, n_threads: int,
) -> int:  # fmt: skip
    """Train on the mini-batches that start from `first_sample` on, before `last_sample`.

    Adds to ``total_loss[0]`` each batch's loss times its size. Returns how many samples
    were trained on; fewer than asked for where the loss stopped being finite.
    """
    width = lanes(panels)
    super_block = panel_losses.size * width
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        rate = step_size(solver, hyper, powers)
        batch_loss = 0.0
        for done in range(0, n_batch, super_block):
            n_samples = min(super_block, n_batch - done)
            n_panels = (n_samples + width - 1) // width
            start = first + done
            begins = done == 0
            ends = done + n_samples == n_batch
            for t in prange(n_threads):
                sample_phase(
                    X, Y, order, start, n_samples, plan, params, loss, panels, panel_losses,
                    n_panels * t // n_threads, n_panels * (t + 1) // n_threads,
                )  # fmt: skip
            for t in prange(n_threads):
                parameter_phase(
                    plan, strips, shares[t], shares[t + 1], params, grad, state,
                    panels, n_panels, begins, ends, n_batch, solver, hyper, rate, strip_squares,
                )  # fmt: skip
            for p in range(n_panels):
                batch_loss += panel_losses[p]
        if hyper[ALPHA] > 0.0:
            squares = 0.0
            for s in range(strip_squares.size):
                squares += strip_squares[s]
            batch_loss += 0.5 * hyper[ALPHA] * squares
        if not batch_loss - batch_loss == 0.0:
            return first - first_sample
        total_loss[0] += batch_loss
    return last_sample - first_sample
