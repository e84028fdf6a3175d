"""Mini-batch gradient descent for networks with few parameters: one phase, then the step.

In `train_batches` every panel of a batch moves from the core that filled it to the cores
that sum gradients over it. Where parameters are fewer than what a panel holds, it is
cheaper to move gradients: a block of about 4 panels is taken forward, back and to its own
gradient by one thread, and the gradients of the blocks are added up in block order. How
many blocks there are follows from the size of the batch, never from threads.
"""

from typing import Any

from numba import prange

from ._jit import device, inline, kernel, paste
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
from .intrinsics import lanes, load, store
from .loss import total_weight
from .passes import sample_phase
from .plan import DELTA, FAN_OUT, INPUT, ROWS, SIZE, STRIDE, WEIGHT
from .update import ALPHA, penalty, step_size, update_network

# What a phase is.
START = JOB
N_SAMPLES = JOB + 1
BEGINS = JOB + 2


@paste
def _add_gradient(
    plan: Any, panels: Any, first_panel: int, n_panels: int, begins: bool, grad: Any, start: int
) -> None:
    """Add the gradient over some panels to the vector that starts at `start` in `grad`."""
    size = plan[0, SIZE]
    panel = first_panel * size
    for i in range(plan.shape[0]):
        gradient_rows(
            n_panels, panels, panel + plan[i, INPUT], size, panels, panel + plan[i, DELTA], size,
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


@device
def _work_on(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, params: Any, grad: Any, loss: int, panels: Any, panel_losses: Any,
    claims: Any, worker: int, block: int,
) -> None:  # fmt: skip
    """Take a block of samples forward and back, and leave its gradient."""
    n_blocks = grad.size // params.size
    n_samples = claims[N_SAMPLES]
    n_panels = (n_samples + lanes(panels) - 1) // lanes(panels)
    begin = n_panels * block // n_blocks
    end = n_panels * (block + 1) // n_blocks
    sample_phase(
        X, indices, indptr, Y, weights, order, claims[START], n_samples, plan, params,
        loss, False, panels, panel_losses, begin, end, worker,
    )  # fmt: skip
    start = block * params.size
    _add_gradient(plan, panels, begin, end - begin, claims[BEGINS] == 1, grad, start)


@inline
def _work(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, params: Any, grad: Any, loss: int, panels: Any, panel_losses: Any,
    claims: Any, worker: int,
) -> None:  # fmt: skip
    """Claim blocks of samples until there is none."""
    block = claim(claims, worker)
    while block >= 0:
        _work_on(
            X, indices, indptr, Y, weights, order, plan, params, grad, loss,
            panels, panel_losses, claims, worker, block,
        )  # fmt: skip
        finish(claims)
        block = claim(claims, worker)


@device
def _lead(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any, claims: Any,
) -> int:  # fmt: skip
    """Go through the mini-batches; return how many samples were trained on."""
    super_block = panel_losses.size * lanes(panels)
    n_blocks = grad.size // params.size
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        weight = total_weight(weights, order, first, n_batch)
        if weight == 0.0:
            continue
        batch_loss = 0.0
        for done in range(0, n_batch, super_block):
            claims[START] = first + done
            claims[N_SAMPLES] = min(super_block, n_batch - done)
            claims[BEGINS] = done == 0
            if n_blocks == 1:
                # Nobody to share it with. 3-2-1 at 32: 1.04 times as fast.
                _work_on(
                    X, indices, indptr, Y, weights, order, plan, params, grad, loss,
                    panels, panel_losses, claims, 0, 0,
                )  # fmt: skip
            else:
                publish(claims, n_blocks)
                _work(
                    X, indices, indptr, Y, weights, order, plan, params, grad, loss,
                    panels, panel_losses, claims, 0,
                )  # fmt: skip
                wait_for_others(claims)
            n_panels = (claims[N_SAMPLES] + lanes(panels) - 1) // lanes(panels)
            for p in range(n_panels):
                batch_loss += panel_losses[p]
        batch_loss += penalty(plan, params, hyper[ALPHA])
        if not batch_loss - batch_loss == 0.0:
            return first - first_sample
        rate = step_size(solver, hyper, powers)
        _step(plan, params, grad, state, weight, solver, hyper, rate)
        total_loss[0] += batch_loss * (n_batch / weight)
    return last_sample - first_sample


@kernel
def train_blocks(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any,
    claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Do what `train_batches` does, by blocks.

    `grad` has a vector like `params` for each block; the first is left with the gradient.
    """
    for worker in prange(first_worker, last_worker):
        if worker == 0:
            claims[N_TRAINED] = _lead(
                X, indices, indptr, Y, weights, order, first_sample, last_sample, batch_size,
                plan, params, grad, state, loss, solver, hyper, powers,
                panels, panel_losses, total_loss, claims,
            )  # fmt: skip
            end(claims)
        else:
            while wait_for_work(claims):
                _work(
                    X, indices, indptr, Y, weights, order, plan, params, grad, loss,
                    panels, panel_losses, claims, worker,
                )  # fmt: skip
