"""Mini-batches of a few samples, per-sample descent above all: no panels, no threads.

A panel of 32 samples would stand nearly empty. Here a sample is a row, and the vector
lanes run over the units of a layer, whose weights lie side by side. Batches below
`min_panel_batch` samples come here; the plan is the one of panels, with a width of 1.
"""

from typing import Any

import numpy as np

from ._jit import inline, paste, serial_kernel
from .intrinsics import cast, fma, load, store
from .loss import output_loss, total_weight
from .panel import gather_columns, gather_row, prefetch_rows
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SCRATCH, SIZE, STRIDE, WEIGHT
from .row_simd import combine_rows, dot_rows
from .row_update import FEW_WEIGHTS, takes_one, update_by_one
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative, sigmoid_of_one, slope_of_one
from .update import ALPHA, MAX_GRAD_NORM, penalty, settle, settles, step_size, update_network

# Samples ahead whose features are fetched: random rows come from beyond the caches.
_LOOK_AHEAD = 8

_dot_1 = dot_rows(1)
_dot_8 = dot_rows(8)


@inline
def forward_row(plan: Any, params: Any, rows: Any, row: int) -> None:
    """Take one sample, a row that starts at `row`, from its inputs to its logits."""
    n_layers = plan.shape[0]
    for i in range(n_layers):
        fan_out = plan[i, FAN_OUT]
        n_inputs = plan[i, ROWS]
        weight = plan[i, WEIGHT]
        stride = plan[i, STRIDE]
        a = row + plan[i, INPUT]
        out = row + plan[i, OUTPUT]
        is_hidden = i < n_layers - 1
        if n_inputs * fan_out <= FEW_WEIGHTS:
            for j in range(fan_out):
                z = cast(0, rows)
                for k in range(n_inputs):
                    w = load(params, weight + k * stride + j)
                    z = fma(w, load(rows, a + k), z)
                store(rows, out + j, sigmoid_of_one(z) if is_hidden else z)
            continue
        if fan_out == 1:
            # One unit has lanes only over its inputs.
            _dot_1(n_inputs, rows, a, params, weight, n_inputs, rows, out)
        else:
            combine_rows(n_inputs, rows, a, 1, params, weight, stride, fan_out, rows, out)
        if is_hidden:
            apply_sigmoid(rows, out, fan_out)


@inline
def backward_row(plan: Any, params: Any, rows: Any, row: int) -> None:
    """Take one sample's deltas from the outputs back to the first hidden layer."""
    for i in range(plan.shape[0] - 1, 0, -1):
        fan_in = plan[i, FAN_IN]
        fan_out = plan[i, FAN_OUT]
        weight = plan[i, WEIGHT]
        stride = plan[i, STRIDE]
        a = row + plan[i, INPUT]
        delta = row + plan[i, DELTA]
        out = row + plan[i - 1, DELTA]
        if fan_in * fan_out <= FEW_WEIGHTS:
            for k in range(fan_in):
                total = cast(0, rows)
                for j in range(fan_out):
                    w = load(params, weight + k * stride + j)
                    total = fma(w, load(rows, delta + j), total)
                store(rows, out + k, total * slope_of_one(load(rows, a + k)))
            continue
        if fan_out == 1:
            combine_rows(1, rows, delta, 1, params, weight, 1, fan_in, rows, out)
        else:
            k = 0
            while k < fan_in:
                start = weight + k * stride
                if fan_in - k >= 8:
                    _dot_8(fan_out, rows, delta, params, start, stride, rows, out + k)
                    k += 8
                else:
                    _dot_1(fan_out, rows, delta, params, start, stride, rows, out + k)
                    k += 1
        apply_sigmoid_derivative(rows, a, rows, out, fan_in)


@inline
def row_gradient(plan: Any, layer: int, rows: Any, n_samples: int, grad: Any) -> None:
    """Sum the products of a layer's inputs and deltas over the samples."""
    size = plan[0, SIZE]
    fan_out = plan[layer, FAN_OUT]
    n_inputs = plan[layer, ROWS]
    weight = plan[layer, WEIGHT]
    a = plan[layer, INPUT]
    delta = plan[layer, DELTA]
    if fan_out == 1:
        combine_rows(n_samples, rows, delta, size, rows, a, size, n_inputs, grad, weight)
    else:
        for k in range(n_inputs):
            out = weight + k * plan[layer, STRIDE]
            combine_rows(n_samples, rows, a + k, size, rows, delta, size, fan_out, grad, out)


@paste
def _loss_and_deltas(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any, order: Any, first: int, n_batch: int,
    plan: Any, params: Any, loss: int, rows: Any,
) -> float:  # fmt: skip
    """Take a mini-batch forward and back, and return the sum of its samples' losses."""
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    n_ahead = 1 if indptr is None else 0
    batch_loss = 0.0
    for s in range(n_batch):
        row = s * plan[0, SIZE]
        delta = row + plan[last, DELTA]
        gather_row(X, indices, indptr, plan[0, FAN_IN], order, first + s, rows, row)
        prefetch_rows(X, plan[0, FAN_IN], order, first + s + _LOOK_AHEAD, n_ahead)
        gather_columns(Y, n_outputs, order, first + s, 1, rows, delta, 1)
        forward_row(plan, params, rows, row)
        batch_loss += output_loss(
            loss, Y, rows, row + plan[last, OUTPUT], delta, row + plan[0, SCRATCH],
            n_outputs, 1, 1, weights, order, first + s,
        )  # fmt: skip
        backward_row(plan, params, rows, row)
    return batch_loss


@serial_kernel
def train_rows(
    X: Any, indices: Any, indptr: Any, Y: Any, weights: Any,
    order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any, rows: Any, total_loss: Any,
) -> int:  # fmt: skip
    """Train on mini-batches that fit in `rows`; as `train_batches`, one thread."""
    alpha = hyper[ALPHA]
    clips = hyper[MAX_GRAD_NORM] < np.inf
    epoch_size = order.size // total_loss.size
    epoch = first_sample // epoch_size
    first = first_sample
    while first < last_sample:
        if first == (epoch + 1) * epoch_size:
            epoch += 1
        n_batch = min(batch_size, min((epoch + 1) * epoch_size, last_sample) - first)
        weight = total_weight(weights, order, first, n_batch)
        if weight != 0.0:
            batch_loss = _loss_and_deltas(
                X, indices, indptr, Y, weights, order, first, n_batch, plan, params, loss, rows
            )
            batch_loss += penalty(plan, params, alpha)
            if not batch_loss - batch_loss == 0.0:
                return first - first_sample
            rate = step_size(solver, hyper, powers)
            if n_batch == 1 and not clips and takes_one(solver, params.size):
                update_by_one(plan, solver, params, state, rows, weight, rate, hyper)
            else:
                for i in range(plan.shape[0]):
                    row_gradient(plan, i, rows, n_batch, grad)
                update_network(plan, solver, params, grad, state, weight, rate, hyper)
            if settles(first - epoch * epoch_size, n_batch):
                settle(solver, params, state, 0, params.size)
            total_loss[epoch] += batch_loss * (n_batch / weight)
        first += n_batch
    return last_sample - first_sample
