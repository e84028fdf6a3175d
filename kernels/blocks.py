"""Mini-batch gradient descent for networks with few parameters: one phase, then the step.

In `train_batches` every panel of a batch moves from the core that filled it to the cores
that sum gradients over it. Where parameters are fewer than what a panel holds, it is
cheaper to move gradients: a block of about 4 panels is taken forward, back and to its own
gradient by one thread, and the gradients of the blocks are added up in block order. How
many blocks there are follows from the size of the batch, never from threads.
"""

from typing import Any

from numba import prange

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
from .claims import claim, end, finish, keep, publish, wait_for_block, wait_for_others
from .dense import gradient_rows
from .intrinsics import lanes, load, store
from .passes import sample_phase
from .plan import DELTA, FAN_OUT, INPUT, ROWS, SIZE, STRIDE, WEIGHT
from .update import ALPHA, penalty, settle, settles, step_size, update_network


@paste
def _add_gradient(
    plan: Any, panels: Any, first_panel: int, n_samples: int, begins: bool, grad: Any, start: int
) -> None:
    """Add the gradient over some panels to the vector that starts at `start` in `grad`."""
    size = plan[0, SIZE]
    panel = first_panel * size
    for i in range(plan.shape[0]):
        gradient_rows(
            n_samples, panels, panel + plan[i, INPUT], size, panels, panel + plan[i, DELTA], size,
            plan[i, ROWS], plan[i, FAN_OUT], begins, grad, start + plan[i, WEIGHT], plan[i, STRIDE],
        )  # fmt: skip


@paste
def _step(
    plan: Any, params: Any, grad: Any, state: Any, weight: float,
    solver: int, hyper: Any, rate: float,
) -> None:  # fmt: skip
    """Add up the blocks' gradients and take a step."""
    n_params = params.size
    for block in range(n_params, grad.size, n_params):
        for i in range(n_params):
            store(grad, i, load(grad, i) + load(grad, block + i))
    update_network(plan, solver, params, grad, state, weight, rate, hyper)


@paste
def _do_block(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, params: Any, grad: Any, loss: int, panels: Any, panel_losses: Any,
    claims: Any, worker: int, block: int,
) -> None:  # fmt: skip
    """Take a block of samples forward and back, and leave its gradient."""
    n_blocks = grad.size // params.size
    # By `load`: the parallel form would read `claims[START]` once, before the loop over blocks.
    start, n_samples = load(claims, START), load(claims, N_SAMPLES)
    width = lanes(panels)
    n_panels = (n_samples + width - 1) // width
    first_panel = n_panels * block // n_blocks
    last_panel = n_panels * (block + 1) // n_blocks
    sample_phase(
        X, indices, indptr, Y, weights, order, start, n_samples, plan, params,
        loss, False, panels, panel_losses, first_panel, last_panel, worker,
    )  # fmt: skip
    stop = min(last_panel * width, n_samples)
    _add_gradient(
        plan, panels, first_panel, stop - first_panel * width, load(claims, BEGINS) == 1,
        grad, block * params.size,
    )  # fmt: skip


@paste
def _end_batch(
    plan: Any, params: Any, grad: Any, state: Any, solver: int, hyper: Any, powers: Any,
    total_loss: Any, step: Any, claims: Any,
) -> bool:  # fmt: skip
    """Take a step, unless the loss is not finite; return whether it is."""
    batch_loss = step[BATCH_LOSS] + penalty(plan, params, hyper[ALPHA])
    if not batch_loss - batch_loss == 0.0:
        return False
    rate = step_size(solver, hyper, powers)
    _step(plan, params, grad, state, step[BATCH_WEIGHT], solver, hyper, rate)
    if settles(first_of_epoch(claims), claims[N_BATCH]):
        settle(solver, params, state, 0, params.size)
    total_loss[claims[EPOCH]] += batch_loss * (claims[N_BATCH] / step[BATCH_WEIGHT])
    return True


@device
def _go_on(
    weights: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any, step: Any, claims: Any,
) -> bool:  # fmt: skip
    """Do what comes after a phase, and go on to the next samples, if there are any."""
    if claims[N_SAMPLES] > 0:
        n_panels = (claims[N_SAMPLES] + lanes(panels) - 1) // lanes(panels)
        for p in range(n_panels):
            step[BATCH_LOSS] += panel_losses[p]
        if claims[ENDS] == 1 and not _end_batch(
            plan, params, grad, state, solver, hyper, powers, total_loss, step, claims
        ):
            stop(first_sample, claims)
            return False
    super_block = panel_losses.size * lanes(panels)
    return advance(weights, order, last_sample, batch_size, super_block, step, claims)


@paste
def _next_block(
    weights: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any, step: Any, claims: Any, worker: int,
) -> int:  # fmt: skip
    """Claim a block. Where none is left, worker 0 goes on, and others wait until it does."""
    if worker > 0:
        return wait_for_block(claims, worker)
    n_blocks = grad.size // params.size
    block = claim(claims, worker)
    while block < 0:
        wait_for_others(claims)
        if not _go_on(
            weights, order, first_sample, last_sample, batch_size,
            plan, params, grad, state, solver, hyper, powers,
            panels, panel_losses, total_loss, step, claims,
        ):  # fmt: skip
            break
        if n_blocks == 1:
            # 3-2-1 at 32: 1.04 times as fast.
            block = keep(claims)
        else:
            publish(claims, n_blocks)
            block = claim(claims, worker)
    return block


@kernel
def train_blocks(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any, step: Any,
    claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Do what `train_batches` does, by blocks.

    `grad` has a vector like `params` for each block; the first is left with the gradient.
    """
    for worker in prange(first_worker, last_worker):
        if worker == 0:
            begin(order, total_loss, first_sample, last_sample, claims)
        while True:
            block = _next_block(
                weights, order, first_sample, last_sample, batch_size,
                plan, params, grad, state, solver, hyper, powers,
                panels, panel_losses, total_loss, step, claims, worker,
            )  # fmt: skip
            if block < 0:
                break
            _do_block(
                X, indices, indptr, Y, weights, order, plan, params, grad, loss,
                panels, panel_losses, claims, worker, block,
            )  # fmt: skip
            finish(claims)
        if worker == 0:
            end(claims)
