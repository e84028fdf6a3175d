"""Mini-batch gradient descent for networks with few parameters: one phase, then the step.

In `train_batches` every panel of a batch moves from the core that filled it to the cores
that sum gradients over it. Where parameters are fewer than what a panel holds, it is
cheaper to move gradients: a block of about 4 panels is taken forward, back and to its own
gradient by one thread, and the gradients of the blocks are added up in block order. How
many blocks there are follows from the size of the batch, never from threads.
"""

from typing import Any

from numba import prange

from ._jit import kernel, paste
from .dense import gradient_rows
from .epoch import sample_phase
from .intrinsics import lanes, load, store
from .loss import total_weight
from .plan import DELTA, FAN_OUT, INPUT, ROWS, SIZE, STRIDE, WEIGHT
from .update import ALPHA, penalty, step_size, update_network


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


@kernel
def train_blocks(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any, loss: int, solver: int, hyper: Any, powers: Any,
    panels: Any, panel_losses: Any, total_loss: Any, n_threads: int,
) -> int:  # fmt: skip
    """Do what `train_batches` does, by blocks.

    `grad` has a vector like `params` for each block; the first is left with the gradient.
    """
    width = lanes(panels)
    super_block = panel_losses.size * width
    n_params = params.size
    n_blocks = grad.size // n_params
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        weight = total_weight(weights, order, first, n_batch)
        if weight == 0.0:
            continue
        batch_loss = 0.0
        for done in range(0, n_batch, super_block):
            n_samples = min(super_block, n_batch - done)
            n_panels = (n_samples + width - 1) // width
            start = first + done
            for t in prange(n_threads):
                for b in range(n_blocks * t // n_threads, n_blocks * (t + 1) // n_threads):
                    begin = n_panels * b // n_blocks
                    end = n_panels * (b + 1) // n_blocks
                    sample_phase(
                        X, indices, indptr, Y, weights, order, start, n_samples, plan, params,
                        loss, False, panels, panel_losses, begin, end,
                    )  # fmt: skip
                    _add_gradient(plan, panels, begin, end - begin, done == 0, grad, b * n_params)
            for p in range(n_panels):
                batch_loss += panel_losses[p]
        batch_loss += penalty(plan, params, hyper[ALPHA])
        if not batch_loss - batch_loss == 0.0:
            return first - first_sample
        rate = step_size(solver, hyper, powers)
        _step(plan, params, grad, state, weight, solver, hyper, rate)
        total_loss[0] += batch_loss * (n_batch / weight)
    return last_sample - first_sample
