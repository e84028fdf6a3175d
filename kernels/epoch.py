"""Mini-batch gradient descent: a run of mini-batches in one kernel call.

A mini-batch is two phases, each one parallel loop. Phase 1 takes blocks of samples
forward through all layers and back; phase 2 takes strips of parameters, sums each one's
gradient over all samples in their order, and steps the optimiser while the strip is in
cache. No two threads write to one place, no order depends on their number.
"""

from typing import Any

from numba import prange

from ._jit import device, kernel
from .dense import gradient_rows, multiply_panel
from .intrinsics import cast, lanes, store
from .loss import output_loss
from .panel import gather, gather_columns, prefetch_rows
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SCRATCH, SIZE, WEIGHT
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative
from .simd import sum_of_squares
from .update import ALPHA, step_size, update


@device
def forward_panel(plan: Any, params: Any, panels: Any, panel: int) -> None:
    """Take one panel from its inputs to its logits; `panel` is where it starts."""
    width = lanes(panels)
    n_layers = plan.shape[0]
    for i in range(n_layers):
        fan_out = plan[i, FAN_OUT]
        out = panel + plan[i, OUTPUT]
        multiply_panel(
            params, plan[i, WEIGHT], 1, fan_out, fan_out, plan[i, ROWS],
            panels, panel + plan[i, INPUT], panels, out,
        )  # fmt: skip
        if i < n_layers - 1:
            apply_sigmoid(panels, out, fan_out * width)


@device
def backward_panel(plan: Any, params: Any, panels: Any, panel: int) -> None:
    """Take one panel's deltas from the outputs back to the first hidden layer."""
    width = lanes(panels)
    for i in range(plan.shape[0] - 1, 0, -1):
        fan_in = plan[i, FAN_IN]
        fan_out = plan[i, FAN_OUT]
        delta = panel + plan[i - 1, DELTA]
        multiply_panel(
            params, plan[i, WEIGHT], fan_out, 1, fan_in, fan_out,
            panels, panel + plan[i, DELTA], panels, delta,
        )  # fmt: skip
        apply_sigmoid_derivative(panels, panel + plan[i, INPUT], panels, delta, fan_in * width)


@device
def sample_phase(
    X: Any, Y: Any, order: Any, first: int, n_samples: int, plan: Any, params: Any, loss: int,
    panels: Any, panel_losses: Any, first_panel: int, last_panel: int,
) -> None:  # fmt: skip
    """Phase 1 for some panels of a super-block that starts at sample `first`."""
    width = lanes(panels)
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    for p in range(first_panel, last_panel):
        panel = p * plan[0, SIZE]
        start = first + p * width
        count = min(width, n_samples - p * width)
        logits = panel + plan[last, OUTPUT]
        delta = panel + plan[last, DELTA]
        gather(X, plan[0, FAN_IN], order, start, count, panels, panel)
        gather_columns(Y, n_outputs, order, start, count, panels, delta, width)
        # Rows come in random order, from beyond the caches: 8 us a mini-batch of
        # 28-64-1. This thread's next panel is the next, or its first of the next batch.
        following = p + 1 if p + 1 < last_panel else n_samples // width + first_panel
        prefetch_rows(X, plan[0, FAN_IN], order, first + following * width, width)
        forward_panel(plan, params, panels, panel)
        panel_losses[p] = output_loss(
            loss, panels, logits, delta, panel + plan[0, SCRATCH], n_outputs, width, count
        )
        backward_panel(plan, params, panels, panel)


@device
def parameter_phase(
    plan: Any, strips: Any, first_strip: int, last_strip: int, params: Any, grad: Any, state: Any,
    panels: Any, n_panels: int, begins: bool, ends: bool, batch_size: int,
    solver: int, hyper: Any, rate: float, strip_squares: Any,
) -> None:  # fmt: skip
    """Phase 2 for some strips: add one super-block's gradient; step after the last."""
    for s in range(first_strip, last_strip):
        layer = strips[s, 0]
        fan_out = plan[layer, FAN_OUT]
        weight = plan[layer, WEIGHT]
        start = weight + strips[s, 1] * fan_out
        stop = weight + strips[s, 2] * fan_out
        if begins:
            for i in range(start, stop):
                store(grad, i, cast(0, grad))
        rows = plan[layer, INPUT] + strips[s, 1] * lanes(panels)
        gradient_rows(
            n_panels, panels, rows, plan[0, SIZE], panels, plan[layer, DELTA], plan[0, SIZE],
            strips[s, 2] - strips[s, 1], fan_out, grad, start,
        )  # fmt: skip
        if ends:
            # The penalty is on weights, not on the row of biases.
            biases = min(stop, weight + plan[layer, FAN_IN] * fan_out)
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
