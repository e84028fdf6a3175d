"""Mini-batches of a few samples, per-sample descent above all: no panels, no threads.

A panel of 32 samples would stand nearly empty. Here a sample is a row, and the vector
lanes run over the units of a layer, whose weights lie side by side. Batches below
`MIN_PANEL_BATCH` samples come here; the plan is the one of panels, with a width of 1.
"""

from typing import Any

from ._jit import device, serial_kernel
from .loss import output_loss
from .panel import gather_columns, prefetch_rows
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SCRATCH, SIZE, WEIGHT
from .row_simd import combine_rows, dot_rows
from .sigmoid import apply_sigmoid, apply_sigmoid_derivative
from .simd import sum_of_squares
from .update import ALPHA, step_size, update

MIN_PANEL_BATCH = 8
_LOOK_AHEAD = 8

_dot_1 = dot_rows(1)
_dot_8 = dot_rows(8)


@device
def _forward_row(plan: Any, params: Any, rows: Any, row: int) -> None:
    n_layers = plan.shape[0]
    for i in range(n_layers):
        fan_out = plan[i, FAN_OUT]
        n_inputs = plan[i, ROWS]
        weight = plan[i, WEIGHT]
        a = row + plan[i, INPUT]
        out = row + plan[i, OUTPUT]
        if fan_out == 1:
            # One unit has lanes only over its inputs.
            _dot_1(n_inputs, rows, a, params, weight, n_inputs, rows, out)
        else:
            combine_rows(n_inputs, rows, a, 1, params, weight, fan_out, fan_out, rows, out)
        if i < n_layers - 1:
            apply_sigmoid(rows, out, fan_out)


@device
def _backward_row(plan: Any, params: Any, rows: Any, row: int) -> None:
    for i in range(plan.shape[0] - 1, 0, -1):
        fan_in = plan[i, FAN_IN]
        fan_out = plan[i, FAN_OUT]
        weight = plan[i, WEIGHT]
        delta = row + plan[i, DELTA]
        out = row + plan[i - 1, DELTA]
        if fan_out == 1:
            combine_rows(1, rows, delta, 1, params, weight, 1, fan_in, rows, out)
        else:
            k = 0
            while k < fan_in:
                start = weight + k * fan_out
                if fan_in - k >= 8:
                    _dot_8(fan_out, rows, delta, params, start, fan_out, rows, out + k)
                    k += 8
                else:
                    _dot_1(fan_out, rows, delta, params, start, fan_out, rows, out + k)
                    k += 1
        apply_sigmoid_derivative(rows, row + plan[i, INPUT], rows, out, fan_in)


@device
def _gradient(plan: Any, layer: int, rows: Any, n_samples: int, grad: Any) -> None:
    """Sum the products of a layer's inputs and deltas over the samples."""
    stride = plan[0, SIZE]
    fan_out = plan[layer, FAN_OUT]
    n_inputs = plan[layer, ROWS]
    weight = plan[layer, WEIGHT]
    a = plan[layer, INPUT]
    delta = plan[layer, DELTA]
    if fan_out == 1:
        combine_rows(n_samples, rows, delta, stride, rows, a, stride, n_inputs, grad, weight)
    else:
        for k in range(n_inputs):
            out = weight + k * fan_out
            combine_rows(n_samples, rows, a + k, stride, rows, delta, stride, fan_out, grad, out)


@serial_kernel
def train_rows(
    X: Any, Y: Any, order: Any, first_sample: int, last_sample: int, batch_size: int,
    plan: Any, params: Any, grad: Any, state: Any,
    loss: int, solver: int, hyper: Any, powers: Any, rows: Any, total_loss: Any,
) -> int:  # fmt: skip
    """Train on mini-batches that fit in `rows`; as `train_batches`, one thread."""
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    alpha = hyper[ALPHA]
    for first in range(first_sample, last_sample, batch_size):
        n_batch = min(batch_size, last_sample - first)
        rate = step_size(solver, hyper, powers)
        batch_loss = 0.0
        for s in range(n_batch):
            row = s * plan[0, SIZE]
            delta = row + plan[last, DELTA]
            gather_columns(X, plan[0, FAN_IN], order, first + s, 1, rows, row, 1)
            prefetch_rows(X, plan[0, FAN_IN], order, first + s + _LOOK_AHEAD, 1)
            gather_columns(Y, n_outputs, order, first + s, 1, rows, delta, 1)
            _forward_row(plan, params, rows, row)
            batch_loss += output_loss(
                loss, rows, row + plan[last, OUTPUT], delta, row + plan[0, SCRATCH], n_outputs, 1, 1
            )
            _backward_row(plan, params, rows, row)
        for i in range(plan.shape[0]):
            _gradient(plan, i, rows, n_batch, grad)
        if alpha > 0.0:
            for i in range(plan.shape[0]):
                start = plan[i, WEIGHT]
                biases = start + plan[i, FAN_IN] * plan[i, FAN_OUT]
                stop = start + plan[i, ROWS] * plan[i, FAN_OUT]
                batch_loss += 0.5 * alpha * sum_of_squares(params, start, biases - start)
                update(solver, params, grad, state, start, biases, alpha, n_batch, rate, hyper)
                update(solver, params, grad, state, biases, stop, 0.0, n_batch, rate, hyper)
        else:
            update(solver, params, grad, state, 0, params.size, 0.0, n_batch, rate, hyper)
        if not batch_loss - batch_loss == 0.0:
            return first - first_sample
        total_loss[0] += batch_loss
    return last_sample - first_sample
