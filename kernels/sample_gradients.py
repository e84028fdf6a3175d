"""The gradient of every sample's own loss, one vector of parameters a sample.

No sums over samples, so there is nothing for panels to gain: a sample is a row, as in
mini-batches of a few.
"""

from typing import Any

from numba import prange

from ._jit import kernel, paste
from .claims import claim, finish, is_done_soon
from .loss import output_loss
from .panel import gather_columns, gather_row
from .plan import DELTA, FAN_IN, FAN_OUT, OUTPUT, SCRATCH
from .rows import backward_row, forward_row, row_gradient


@paste
def _differentiate_sample(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any, sample: int,
    plan: Any, params: Any, loss: int, row: Any, grad: Any,
) -> None:  # fmt: skip
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    delta = plan[last, DELTA]
    gather_row(X, indices, indptr, plan[0, FAN_IN], order, sample, row, 0)
    gather_columns(Y, n_outputs, order, sample, 1, row, delta, 1)
    forward_row(plan, params, row, 0)
    output_loss(
        loss, Y, row, plan[last, OUTPUT], delta, plan[0, SCRATCH], n_outputs, 1, 1,
        weights, order, sample,
    )  # fmt: skip
    backward_row(plan, params, row, 0)
    for i in range(plan.shape[0]):
        row_gradient(plan, i, row, 1, grad)


@kernel
def sample_gradients(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any,
    plan: Any, params: Any, loss: int, rows: Any, block_rows: int, out: Any,
    claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write the gradient of the loss of each of the samples `order` by all parameters.

    ``out[i]`` is a vector like `params`, where what pads the rows of a matrix is left
    alone; ``rows[t]`` is the workspace of a worker, laid out by a plan of width 1. A block
    is `block_rows` samples; `claims` has them as its only phase.
    """
    for worker in prange(first_worker, last_worker):
        block = claim(claims, worker)
        while block >= 0:
            first = block * block_rows
            for i in range(first, min(first + block_rows, order.size)):
                _differentiate_sample(
                    X, indices, indptr, Y, weights, order, i, plan, params, loss,
                    rows[worker], out[i],
                )  # fmt: skip
            finish(claims)
            block = claim(claims, worker)
        if worker == 0:
            is_done_soon(claims)
