"""Mini-batch gradient descent: a run of mini-batches in one kernel call.

A mini-batch is two phases, each one parallel loop. Phase 1 takes blocks of samples
forward through all layers and back; phase 2 takes strips of parameters, sums each one's
gradient over all samples in their order, and steps the optimiser while the strip is in
cache. No two threads write to one place, no order depends on their number.
"""

from typing import Any

import numpy as np
from numba import prange

from ._jit import device, kernel, paste
from .dense import gradient_rows, multiply_panels, transpose_deltas
from .entries import forward_entries, gradient_entries, has_entries
from .intrinsics import lanes
from .loss import output_loss, total_weight
from .panel import gather_columns, gather_features, prefetch_rows
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SCRATCH, SIZE, STRIDE, WEIGHT
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative
from .simd import sum_of_squares
from .update import ALPHA, GRADIENT, MAX_GRAD_NORM, clip_divisor, step_size, update

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
    fan_out = plan[0, FAN_OUT]
    width = lanes(panels)
    size = plan[0, SIZE]
    if indptr is not None and by_entries:
        for p in range(n_panels):
            count = min(width, n_samples - p * width)
            panel = first + p * size
            forward_entries(
                X, indices, indptr, order, place + p * width, count, plan, params, panels, panel
            )
            if plan.shape[0] > 1:
                apply_sigmoid(panels, panel + plan[0, OUTPUT], fan_out * width)
    else:
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
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any, first: int, n_samples: int,
    plan: Any, params: Any, loss: int, by_entries: bool,
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
            if not by_entries:
                gather_features(
                    X, indices, indptr, plan[0, FAN_IN], order, start, count, panels, p * size
                )
            gather_columns(Y, n_outputs, order, start, count, panels, delta, width)
        # This thread's next panels are the next, or its first of the next batch.
        following = end if end < last_panel else n_samples // width + first_panel
        n_ahead = (end - begin) * width if indptr is None else 0
        forward_panels(
            plan, params, panels, begin * size, end - begin,
            X, indices, indptr, order, first + begin * width, n_samples - begin * width,
            by_entries, first + following * width, n_ahead,
        )  # fmt: skip
        for p in range(begin, end):
            panel = p * size
            panel_losses[p] = output_loss(
                loss, panels, panel + plan[last, OUTPUT], panel + plan[last, DELTA],
                panel + plan[0, SCRATCH], n_outputs, width, min(width, n_samples - p * width),
                weights, order, first + p * width,
            )  # fmt: skip
        backward_panels(plan, params, panels, begin * size, end - begin)


@paste
def parameter_phase(
    X: Any, indices: Any, indptr: Any, order: Any, first: int, n_samples: int, plan: Any,
    strips: Any, first_strip: int, last_strip: int, params: Any, grad: Any, state: Any,
    by_entries: bool, panels: Any, n_panels: int, begins: bool, ends: bool, adds: bool, clips: bool,
    solver: int, alpha: float, weight: float, rate: float, hyper: Any, squares: Any,
) -> None:  # fmt: skip
    """Phase 2 for some strips: add one super-block's gradient; step after the last.

    Leaves in `squares` each strip's sum of squared weights, for the penalty, and after
    all strips' those of its gradient, if gradients are clipped.
    """
    if (
        indptr is not None
        and by_entries
        and adds
        and first_strip < last_strip
        and strips[first_strip, 0] == 0
    ):
        # The rows of the first layer in all these strips at once.
        last_row = strips[last_strip - 1, 2] if strips[last_strip - 1, 0] == 0 else plan[0, ROWS]
        gradient_entries(
            X, indices, indptr, order, first, n_samples, plan, panels,
            strips[first_strip, 1], last_row, begins, grad,
        )  # fmt: skip
    for s in range(first_strip, last_strip):
        layer = strips[s, 0]
        stride = plan[layer, STRIDE]
        start = plan[layer, WEIGHT] + strips[s, 1] * stride
        stop = plan[layer, WEIGHT] + strips[s, 2] * stride
        if adds and not (by_entries and layer == 0):
            rows = plan[layer, INPUT] + strips[s, 1] * lanes(panels)
            gradient_rows(
                n_panels, panels, rows, plan[0, SIZE], panels, plan[layer, DELTA], plan[0, SIZE],
                strips[s, 2] - strips[s, 1], plan[layer, FAN_OUT], begins, grad, start, stride,
            )  # fmt: skip
        if ends:
            # The penalty is on weights, not on the row of biases.
            biases = min(stop, plan[layer, WEIGHT] + plan[layer, FAN_IN] * stride)
            if alpha > 0.0:
                squares[s] = sum_of_squares(params, start, biases - start)
            for part in range(2):
                begin = start if part == 0 else biases
                end = biases if part == 0 else stop
                a = alpha if part == 0 else 0.0
                update(solver, params, grad, state, begin, end, a, weight, rate, hyper)
            if clips:
                squares[strips.shape[0] + s] = sum_of_squares(grad, start, stop - start)


@device
def _sum(values: Any, start: int, count: int) -> float:
    total = 0.0
    for i in range(start, start + count):
        total += values[i]
    return total


@kernel
def train_batches(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, strips: Any, shares: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, squares: Any, total_loss: Any, n_threads: int,
) -> int:  # fmt: skip
    """Train on the mini-batches that start from `first_sample` on, before `last_sample`.

    Adds to ``total_loss[0]`` each batch's mean loss times its size. Returns how many
    samples were trained on; fewer than asked for where the loss of a batch was not
    finite: its step is not taken, unless it is the penalty alone that is not finite. A
    batch whose weights add up to 0 is passed over.
    """
    width = lanes(panels)
    super_block = panel_losses.size * width
    n_strips = strips.shape[0]
    clips = hyper[MAX_GRAD_NORM] < np.inf
    by_entries = has_entries(plan, X, indptr)
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        weight = total_weight(weights, order, first, n_batch)
        if weight == 0.0:
            continue
        rate = 0.0
        batch_loss = 0.0
        for done in range(0, n_batch, super_block):
            n_samples = min(super_block, n_batch - done)
            n_panels = (n_samples + width - 1) // width
            start = first + done
            ends = done + n_samples == n_batch
            for t in prange(n_threads):
                sample_phase(
                    X, indices, indptr, Y, weights, order, start, n_samples, plan, params, loss,
                    by_entries, panels, panel_losses,
                    n_panels * t // n_threads, n_panels * (t + 1) // n_threads,
                )  # fmt: skip
            batch_loss += _sum(panel_losses, 0, n_panels)
            if not batch_loss - batch_loss == 0.0:
                return first - first_sample
            if ends:
                rate = step_size(solver, hyper, powers)
            # To clip it, the mean gradient comes first, and the step in a second pass.
            code = GRADIENT if clips else solver
            alpha = hyper[ALPHA]
            divisor = weight
            for turn in range(2 if clips and ends else 1):
                for t in prange(n_threads):
                    parameter_phase(
                        X, indices, indptr, order, start, n_samples, plan,
                        strips, shares[t], shares[t + 1], params, grad, state,
                        by_entries, panels, n_panels, done == 0, ends, turn == 0, clips,
                        code, alpha, divisor, rate, hyper, squares,
                    )  # fmt: skip
                if clips:
                    code = solver
                    alpha = 0.0
                    divisor = clip_divisor(_sum(squares, n_strips, n_strips), hyper)
        if hyper[ALPHA] > 0.0:
            batch_loss += 0.5 * hyper[ALPHA] * _sum(squares, 0, n_strips)
            # A penalty beyond all numbers is known only after the step.
            if not batch_loss - batch_loss == 0.0:
                return first - first_sample
        total_loss[0] += batch_loss * (n_batch / weight)
    return last_sample - first_sample
