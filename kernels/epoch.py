"""Mini-batch gradient descent: a run of mini-batches in one kernel call.

A mini-batch is two phases of blocks (`claims.py`). Phase 1 takes blocks of samples
forward through all layers and back; phase 2 takes strips of parameters, sums each one's
gradient over all samples in their order, and steps the optimiser while the strip is in
cache. No two threads write to one place, no order depends on their number.
"""

from typing import Any

import numpy as np
from numba import prange

from ._jit import device, kernel, paste
from .claims import (
    JOB,
    N_TRAINED,
    claim,
    end,
    finish,
    publish,
    wait_for_others,
    wait_for_work,
)
from .dense import gradient_rows
from .entries import gradient_entries, has_entries
from .intrinsics import lanes
from .loss import total_weight
from .passes import sample_phase
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, ROWS, SIZE, STRIDE, WEIGHT
from .simd import sum_of_squares
from .update import ALPHA, GRADIENT, MAX_GRAD_NORM, clip_divisor, step_size, update

# What a phase is.
PHASE = JOB
START = JOB + 1
N_SAMPLES = JOB + 2
BEGINS = JOB + 3
ENDS = JOB + 4
ADDS = JOB + 5
SOLVER = JOB + 6
SAMPLES = 0
PARAMETERS = 1

# And its numbers, in `step`.
STEP_ALPHA = 0
STEP_DIVISOR = 1
STEP_RATE = 2
STEP_SIZE = 3


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


@device
def _work(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, strips: Any, runs: Any, params: Any, grad: Any, state: Any, loss: int,
    hyper: Any, panels: Any, block_panels: int, panel_losses: Any, squares: Any, step: Any,
    claims: Any, worker: int,
) -> None:  # fmt: skip
    """Claim blocks of a phase until there is none: panels in phase 1, runs of strips in 2."""
    width = lanes(panels)
    by_entries = has_entries(plan, X, indptr)
    clips = hyper[MAX_GRAD_NORM] < np.inf
    block = claim(claims, worker)
    while block >= 0:
        start, n_samples = claims[START], claims[N_SAMPLES]
        n_panels = (n_samples + width - 1) // width
        if claims[PHASE] == SAMPLES:
            first_panel = block * block_panels
            sample_phase(
                X, indices, indptr, Y, weights, order, start, n_samples, plan, params, loss,
                by_entries, panels, panel_losses,
                first_panel, min(first_panel + block_panels, n_panels), worker,
            )  # fmt: skip
        else:
            parameter_phase(
                X, indices, indptr, order, start, n_samples, plan,
                strips, runs[block], runs[block + 1], params, grad, state,
                by_entries, panels, n_panels, claims[BEGINS] == 1, claims[ENDS] == 1,
                claims[ADDS] == 1, clips, claims[SOLVER],
                step[STEP_ALPHA], step[STEP_DIVISOR], step[STEP_RATE], hyper, squares,
            )  # fmt: skip
        finish(claims)
        block = claim(claims, worker)


@device
def _lead(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, strips: Any, runs: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, block_panels: int, panel_losses: Any, squares: Any, total_loss: Any,
    step: Any, claims: Any,
) -> int:  # fmt: skip
    """Go through the mini-batches; return how many samples were trained on."""
    super_block = panel_losses.size * lanes(panels)
    n_strips = strips.shape[0]
    clips = hyper[MAX_GRAD_NORM] < np.inf
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        weight = total_weight(weights, order, first, n_batch)
        if weight == 0.0:
            continue
        batch_loss = 0.0
        for done in range(0, n_batch, super_block):
            n_samples = min(super_block, n_batch - done)
            n_panels = (n_samples + lanes(panels) - 1) // lanes(panels)
            ends = done + n_samples == n_batch
            claims[START] = first + done
            claims[N_SAMPLES] = n_samples
            claims[BEGINS] = done == 0
            claims[ENDS] = ends
            claims[PHASE] = SAMPLES
            publish(claims, (n_panels + block_panels - 1) // block_panels)
            _work(
                X, indices, indptr, Y, weights, order, plan, strips, runs, params, grad, state,
                loss, hyper, panels, block_panels, panel_losses, squares, step, claims, 0,
            )  # fmt: skip
            wait_for_others(claims)
            batch_loss += _sum(panel_losses, 0, n_panels)
            if not batch_loss - batch_loss == 0.0:
                return first - first_sample
            if ends:
                step[STEP_RATE] = step_size(solver, hyper, powers)
            # To clip it, the mean gradient comes first, and the step in a second pass.
            claims[SOLVER] = GRADIENT if clips else solver
            step[STEP_ALPHA] = hyper[ALPHA]
            step[STEP_DIVISOR] = weight
            claims[PHASE] = PARAMETERS
            for turn in range(2 if clips and ends else 1):
                claims[ADDS] = turn == 0
                publish(claims, runs.size - 1)
                _work(
                    X, indices, indptr, Y, weights, order, plan, strips, runs, params, grad, state,
                    loss, hyper, panels, block_panels, panel_losses, squares, step, claims, 0,
                )  # fmt: skip
                wait_for_others(claims)
                if clips:
                    claims[SOLVER] = solver
                    step[STEP_ALPHA] = 0.0
                    step[STEP_DIVISOR] = clip_divisor(_sum(squares, n_strips, n_strips), hyper)
        if hyper[ALPHA] > 0.0:
            batch_loss += 0.5 * hyper[ALPHA] * _sum(squares, 0, n_strips)
            # A penalty beyond all numbers is known only after the step.
            if not batch_loss - batch_loss == 0.0:
                return first - first_sample
        total_loss[0] += batch_loss * (n_batch / weight)
    return last_sample - first_sample


@kernel
def train_batches(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, strips: Any, runs: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, block_panels: int, panel_losses: Any, squares: Any, total_loss: Any, step: Any,
    claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Train on the mini-batches that start from `first_sample` on, before `last_sample`.

    Adds to ``total_loss[0]`` each batch's mean loss times its size. Leaves in
    ``claims[N_TRAINED]`` how many samples were trained on; fewer than asked for where the
    loss of a batch was not finite: its step is not taken, unless it is the penalty alone
    that is not finite. A batch whose weights add up to 0 is passed over.

    Blocks of phase 1 are `block_panels` panels, those of phase 2 the strips from
    ``runs[block]`` on, before ``runs[block + 1]``.
    """
    for worker in prange(first_worker, last_worker):
        if worker == 0:
            claims[N_TRAINED] = _lead(
                X, indices, indptr, Y, weights, order, first_sample, last_sample, batch_size,
                plan, strips, runs, params, grad, state, loss, solver, hyper, powers,
                panels, block_panels, panel_losses, squares, total_loss, step, claims,
            )  # fmt: skip
            end(claims)
        else:
            while wait_for_work(claims):
                _work(
                    X, indices, indptr, Y, weights, order, plan, strips, runs, params, grad, state,
                    loss, hyper, panels, block_panels, panel_losses, squares, step, claims, worker,
                )  # fmt: skip
