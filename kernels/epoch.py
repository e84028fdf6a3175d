"""Mini-batch gradient descent: a run of mini-batches in one kernel call.

A mini-batch is two phases of blocks (`claims.py`). Phase 1 takes blocks of samples
forward through all layers and back; phase 2 takes strips of parameters, sums each one's
gradient over all samples in their order, and steps the optimiser while the strip is in
cache. No two threads write to one place, no order depends on their number.
"""

from typing import Any

import numpy as np
from numba import prange

from . import batches
from ._jit import device, kernel, paste
from .batches import (
    BATCH_LOSS,
    BATCH_WEIGHT,
    BEGINS,
    ENDS,
    EPOCH,
    N_BATCH,
    N_SAMPLES,
    START,
    advance,
    begin,
    first_of_epoch,
    stop,
)
from .claims import JOB, claim, end, finish, publish, wait_for_block, wait_for_others
from .dense import gradient_rows
from .entries import gradient_entries, has_entries
from .intrinsics import lanes, load
from .passes import sample_phase
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, ROWS, SIZE, STRIDE, WEIGHT
from .simd import sum_of_squares
from .update import ALPHA, GRADIENT, MAX_GRAD_NORM, clip_divisor, settle, settles, step_size, update

# What a phase is, next to the samples that it is about.
PHASE = JOB + batches.SIZE
ADDS = PHASE + 1
SOLVER = PHASE + 2
NOTHING = 0
SAMPLES = 1
PARAMETERS = 2

# And its numbers, in `step`.
STEP_ALPHA = batches.STEP_SIZE
STEP_DIVISOR = batches.STEP_SIZE + 1
STEP_RATE = batches.STEP_SIZE + 2
STEP_SIZE = batches.STEP_SIZE + 3


@paste
def parameter_phase(
    X: Any, indices: Any, indptr: Any, order: Any, first: int, n_samples: int, plan: Any,
    strips: Any, first_strip: int, last_strip: int, params: Any, grad: Any, state: Any,
    by_entries: bool, panels: Any, begins: bool, ends: bool, adds: bool, clips: bool,
    solver: int, alpha: float, weight: float, rate: float, hyper: Any, is_settled: bool,
    squares: Any,
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
                n_samples, panels, rows, plan[0, SIZE], panels, plan[layer, DELTA], plan[0, SIZE],
                strips[s, 2] - strips[s, 1], plan[layer, FAN_OUT], begins, grad, start, stride,
            )  # fmt: skip
        if ends:
            # The penalty is on weights, not on the row of biases. In a loop, so that there is
            # one `update` to compile: two made the compiled kernel 3 % larger.
            biases = min(stop, plan[layer, WEIGHT] + plan[layer, FAN_IN] * stride)
            if alpha > 0.0:
                squares[s] = sum_of_squares(params, start, biases - start)
            for part in range(2):
                low = start if part == 0 else biases
                high = biases if part == 0 else stop
                a = alpha if part == 0 else 0.0
                update(solver, params, grad, state, low, high, a, weight, rate, hyper)
            if is_settled:
                settle(solver, params, state, start, stop)
            if clips:
                squares[strips.shape[0] + s] = sum_of_squares(grad, start, stop - start)


@device
def _sum(values: Any, start: int, count: int) -> float:
    total = 0.0
    for i in range(start, start + count):
        total += values[i]
    return total


@paste
def _do_block(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, strips: Any, runs: Any, params: Any, grad: Any, state: Any, loss: int,
    hyper: Any, panels: Any, block_panels: int, panel_losses: Any, squares: Any, step: Any,
    claims: Any, worker: int, block: int,
) -> None:  # fmt: skip
    """Do a block of a phase: panels in phase 1, a run of strips in 2."""
    by_entries = has_entries(plan, X, indptr)
    # By `load`: the parallel form would read `claims[START]` once, before the loop over blocks.
    start, n_samples = load(claims, START), load(claims, N_SAMPLES)
    n_panels = (n_samples + lanes(panels) - 1) // lanes(panels)
    if load(claims, PHASE) == SAMPLES:
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
            by_entries, panels, load(claims, BEGINS) == 1, load(claims, ENDS) == 1,
            load(claims, ADDS) == 1, hyper[MAX_GRAD_NORM] < np.inf, load(claims, SOLVER),
            load(step, STEP_ALPHA), load(step, STEP_DIVISOR), load(step, STEP_RATE), hyper,
            settles(first_of_epoch(claims), load(claims, N_BATCH)), squares,
        )  # fmt: skip


@device
def _publish_samples(
    weights: Any, order: Any, last_sample: int, batch_size: int,
    panels: Any, block_panels: int, panel_losses: Any, step: Any, claims: Any,
) -> bool:  # fmt: skip
    """Publish phase 1 of the next super-block, and return whether there is one."""
    width = lanes(panels)
    super_block = panel_losses.size * width
    if not advance(weights, order, last_sample, batch_size, super_block, step, claims):
        return False
    claims[PHASE] = SAMPLES
    block = block_panels * width
    publish(claims, (claims[N_SAMPLES] + block - 1) // block)
    return True


@device
def _publish_parameters(
    runs: Any, adds: bool, solver: int, alpha: float, divisor: float, step: Any, claims: Any
) -> None:
    """Publish phase 2."""
    claims[PHASE] = PARAMETERS
    claims[ADDS] = adds
    claims[SOLVER] = solver
    step[STEP_ALPHA] = alpha
    step[STEP_DIVISOR] = divisor
    publish(claims, runs.size - 1)


@paste
def _end_batch(
    strips: Any, hyper: Any, squares: Any, total_loss: Any, step: Any, claims: Any
) -> bool:
    """Add up the loss of a mini-batch; return whether it is finite."""
    batch_loss = step[BATCH_LOSS]
    if hyper[ALPHA] > 0.0:
        batch_loss += 0.5 * hyper[ALPHA] * _sum(squares, 0, strips.shape[0])
        # A penalty beyond all numbers is known only after the step.
        if not batch_loss - batch_loss == 0.0:
            return False
    total_loss[claims[EPOCH]] += batch_loss * (claims[N_BATCH] / step[BATCH_WEIGHT])
    return True


@device
def _go_on(
    weights: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    strips: Any, runs: Any, solver: int, hyper: Any, powers: Any,
    panels: Any, block_panels: int, panel_losses: Any, squares: Any, total_loss: Any,
    step: Any, claims: Any,
) -> bool:  # fmt: skip
    """Do what comes after a phase, and publish the next; return whether there is one."""
    n_strips = strips.shape[0]
    clips = hyper[MAX_GRAD_NORM] < np.inf
    is_finite = True
    if claims[PHASE] == SAMPLES:
        n_panels = (claims[N_SAMPLES] + lanes(panels) - 1) // lanes(panels)
        step[BATCH_LOSS] += _sum(panel_losses, 0, n_panels)
        is_finite = step[BATCH_LOSS] - step[BATCH_LOSS] == 0.0
        if is_finite:
            if claims[ENDS] == 1:
                step[STEP_RATE] = step_size(solver, hyper, powers)
            # To clip it, the mean gradient comes first, and the step in a second pass.
            _publish_parameters(
                runs, True, GRADIENT if clips else solver, hyper[ALPHA], step[BATCH_WEIGHT],
                step, claims,
            )  # fmt: skip
            return True
    elif claims[PHASE] == PARAMETERS and claims[ENDS] == 1:
        if clips and claims[ADDS] == 1:
            divisor = clip_divisor(_sum(squares, n_strips, n_strips), hyper)
            _publish_parameters(runs, False, solver, 0.0, divisor, step, claims)
            return True
        is_finite = _end_batch(strips, hyper, squares, total_loss, step, claims)
    if not is_finite:
        stop(first_sample, claims)
        return False
    return _publish_samples(
        weights, order, last_sample, batch_size, panels, block_panels, panel_losses, step, claims
    )


@paste
def _next_block(
    weights: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    strips: Any, runs: Any, solver: int, hyper: Any, powers: Any,
    panels: Any, block_panels: int, panel_losses: Any, squares: Any, total_loss: Any,
    step: Any, claims: Any, worker: int,
) -> int:  # fmt: skip
    """Claim a block. Where none is left, worker 0 goes on, and others wait until it does."""
    if worker > 0:
        return wait_for_block(claims, worker)
    block = claim(claims, worker)
    while block < 0:
        wait_for_others(claims)
        if not _go_on(
            weights, order, first_sample, last_sample, batch_size,
            strips, runs, solver, hyper, powers,
            panels, block_panels, panel_losses, squares, total_loss, step, claims,
        ):  # fmt: skip
            break
        block = claim(claims, worker)
    return block


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

    `order` has one epoch after the other, and `total_loss` an element for each, to which each
    batch's mean loss times its size is added. Leaves in
    ``claims[N_TRAINED]`` how many samples were trained on; fewer than asked for where the
    loss of a batch was not finite: its step is not taken, unless it is the penalty alone
    that is not finite. A batch whose weights add up to 0 is passed over.

    Blocks of phase 1 are `block_panels` panels, those of phase 2 the strips from
    ``runs[block]`` on, before ``runs[block + 1]``.
    """
    for worker in prange(first_worker, last_worker):
        if worker == 0:
            claims[PHASE] = NOTHING
            begin(order, total_loss, first_sample, last_sample, claims)
        while True:
            block = _next_block(
                weights, order, first_sample, last_sample, batch_size,
                strips, runs, solver, hyper, powers,
                panels, block_panels, panel_losses, squares, total_loss, step, claims, worker,
            )  # fmt: skip
            if block < 0:
                break
            _do_block(
                X, indices, indptr, Y, weights, order, plan, strips, runs, params, grad, state,
                loss, hyper, panels, block_panels, panel_losses, squares, step, claims,
                worker, block,
            )  # fmt: skip
            finish(claims)
        if worker == 0:
            end(claims)
