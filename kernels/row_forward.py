"""Prediction of a few samples: as rows, without panels, with the same bits.

A panel of 32 samples would stand nearly empty. Here all rows go through a layer before the
next, four at a time, so that a wide matrix is read from memory few times.
"""

from typing import Any

from ._jit import device, inline, serial_kernel
from .few_simd import row_tile
from .forward import EXPONENTIAL, PAIR, SIGMOID, SOFTMAX
from .intrinsics import load, on_stack, store
from .loss import apply_softmax
from .plan import FAN_IN, FAN_OUT, ROWS, STRIDE, WEIGHT
from .sigmoid import apply_exp, apply_sigmoid
from .simd import sum_of_zeros

_tile_4 = row_tile(4)
_tile_1 = row_tile(1)
# Of a layer with more weights than the first cache holds, all rows and units take so many
# inputs before the next ones: 4 rows of 300-1000-1000-5 take 67 us, with 8 inputs 78.
_INPUTS = 16
_MANY_WEIGHTS = 8_000
# Elements of a workspace that a thread's stack has room for: 32 KB of float64.
ON_STACK = 4_096
_stack = on_stack(ON_STACK)


@device
def _multiply_rows(
    plan: Any, layer: int, params: Any, n_rows: int, source: Any, start: int,
    target: Any, target_start: int,
) -> None:  # fmt: skip
    """Take rows of inputs to rows of pre-activations."""
    fan_in = plan[layer, FAN_IN]
    fan_out = plan[layer, FAN_OUT]
    stride = plan[layer, STRIDE]
    bias = plan[layer, ROWS] - fan_in
    step = _INPUTS if fan_in * stride > _MANY_WEIGHTS else fan_in
    k = 0
    while k < fan_in:
        count = min(step, fan_in - k)
        has_bias = bias if k + count == fan_in else 0
        weight = plan[layer, WEIGHT] + k * stride
        r = 0
        while r < n_rows:
            last = min(4, n_rows - r) - 1
            a = start + r * fan_in + k
            out = target_start + r * fan_out
            if last > 0:
                _tile_4(
                    last, count, has_bias, k == 0, source, a, fan_in, params, weight, stride,
                    fan_out, target, out, fan_out,
                )  # fmt: skip
            else:
                _tile_1(
                    last, count, has_bias, k == 0, source, a, fan_in, params, weight, stride,
                    fan_out, target, out, fan_out,
                )  # fmt: skip
            r += 4
        k += count


@inline
def _activate_rows(output: int, n_rows: int, n_outputs: int, work: Any, z: int, out: Any) -> None:
    """Write to `out` what is wanted of the logits that start at `z`."""
    count = n_rows * n_outputs
    if output == PAIR:
        # 1 - p would be 0 from a logit of 37 on, in float32 of 17.
        for r in range(n_rows):
            store(out, 2 * r, -load(work, z + r))
            store(out, 2 * r + 1, load(work, z + r))
        apply_sigmoid(out, 0, 2 * n_rows)
        return
    if output == SOFTMAX:
        scratch = work.size - 2
        for r in range(n_rows):
            apply_softmax(work, z + r * n_outputs, scratch, n_outputs, 1)
    for i in range(count):
        store(out, i, load(work, z + i))
    if output == SIGMOID:
        apply_sigmoid(out, 0, count)
    elif output == EXPONENTIAL:
        apply_exp(out, 0, count)


@serial_kernel
def forward_rows(
    n_rows: int, X: Any, plan: Any, params: Any, output: int, n_checked: int, work: Any, out: Any
) -> Any:
    """Write what `forward` does of the last layer, for a dense X, with the same bits.

    `X` and `out` are flat, row after row. `work` has room for two layers' units of all rows,
    side by side, and two elements; it may be empty where these are no more than `ON_STACK`:
    `numpy.empty` takes 0.2 to 0.4 us of a `Predictor`'s 2 to 3. Returned is 0 if X and the first
    `n_checked` parameters are finite; else NaN, and `out` is as before.
    """
    zero = sum_of_zeros(X, 0, X.size) + sum_of_zeros(params, 0, n_checked)
    if work.size == 0:
        work = _stack(out)
    if zero == 0:
        n_layers = plan.shape[0]
        half = (work.size - 2) // 2
        target = 0
        _multiply_rows(plan, 0, params, n_rows, X, 0, work, target)
        for i in range(1, n_layers):
            apply_sigmoid(work, target, n_rows * plan[i, FAN_IN])
            source = target
            target = half - source
            _multiply_rows(plan, i, params, n_rows, work, source, work, target)
        _activate_rows(output, n_rows, plan[n_layers - 1, FAN_OUT], work, target, out)
    return zero
