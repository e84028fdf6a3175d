"""The first layer on sparse rows, entry by entry.

A panel of dense rows costs ``n_features`` products a unit and sample, most of them by
zero. Where few elements of a matrix are not zero, the first layer takes its entries
instead: forward, each adds a multiple of a row of weights; for the gradient, each adds a
multiple of the deltas to a row. All other layers, and the step, are as ever.

Products by zero change no sum, so the forward pass gives the bits of the dense one. The
gradient adds up the samples in their order, which the dense one does not everywhere
(`dot_tile`).
"""

from typing import Any

import numpy as np

from . import plan as columns
from ._jit import device, inline, paste
from .dense import transposed_columns
from .intrinsics import cast, fma, lanes, load, store
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, ROWS, SIZE, STRIDE, WEIGHT

_takes_entries = inline(columns.takes_entries)


@paste
def has_entries(plan: Any, X: Any, indptr: Any) -> bool:
    """Return whether the first layer takes the entries of X; never if it is dense."""
    if indptr is None:
        return False
    return _takes_entries(plan, X.size, indptr.size - 1)


@inline
def _add_row(scalar: Any, rows: Any, start: int, n: int, out: Any, out_start: int) -> None:
    """Add a multiple of n elements to others."""
    for i in range(n):
        total = fma(scalar, load(rows, start + i), load(out, out_start + i))
        store(out, out_start + i, total)


@device
def forward_entries(
    X: Any, indices: Any, indptr: Any, order: Any, first: int, count: int,
    plan: Any, params: Any, panels: Any, panel: int,
) -> None:  # fmt: skip
    """Work out the first layer for samples ``order[first : first + count]``, one panel.

    The lanes of no sample are left as they are: nobody uses their results.
    """
    width = lanes(panels)
    fan_out = plan[0, FAN_OUT]
    weight = plan[0, WEIGHT]
    stride = plan[0, STRIDE]
    sums = panel + plan[0, INPUT]
    for lane in range(count):
        row = load(order, first + lane)
        for u in range(fan_out):
            store(panels, sums + u, cast(0, panels))
        for entry in range(load(indptr, row), load(indptr, row + 1)):
            place = weight + np.int64(load(indices, entry)) * stride
            _add_row(load(X, entry), params, place, fan_out, panels, sums)
        if plan[0, ROWS] > plan[0, FAN_IN]:
            bias = weight + plan[0, FAN_IN] * stride
            _add_row(cast(1, panels), params, bias, fan_out, panels, sums)
        for u in range(fan_out):
            store(panels, panel + plan[0, OUTPUT] + u * width + lane, load(panels, sums + u))


@inline
def _lower_bound(indices: Any, begin: int, end: int, value: int) -> int:
    """Return the first place from `begin` on, before `end`, whose index is not below."""
    while begin < end:
        middle = (begin + end) // 2
        if load(indices, middle) < value:
            begin = middle + 1
        else:
            end = middle
    return begin


@inline
def _add_sample(
    scalar: Any, plan: Any, panels: Any, panel: int, lane: int, grad: Any, start: int
) -> None:
    """Add a multiple of the first layer's deltas of one sample to a row of a gradient."""
    width = lanes(panels)
    fan_out = plan[0, FAN_OUT]
    delta = panel + plan[0, DELTA]
    n_transposed = transposed_columns(fan_out, width)
    for c in range(0, n_transposed, width):
        block = delta + c * width + lane * width
        _add_row(scalar, panels, block, min(width, n_transposed - c), grad, start + c)
    for c in range(n_transposed, fan_out):
        total = fma(scalar, load(panels, delta + c * width + lane), load(grad, start + c))
        store(grad, start + c, total)


@device
def gradient_entries(
    X: Any, indices: Any, indptr: Any, order: Any, first: int, n_samples: int,
    plan: Any, panels: Any, first_row: int, last_row: int, begins: bool, grad: Any,
) -> None:  # fmt: skip
    """Add the first layer's gradient over some samples, for some rows of its matrix.

    Or write it there, if the gradient begins with it. The samples are
    ``order[first : first + n_samples]``, in panels whose deltas are transposed.
    """
    width = lanes(panels)
    n_features = plan[0, FAN_IN]
    weight = plan[0, WEIGHT]
    stride = plan[0, STRIDE]
    if begins:
        for i in range(weight + first_row * stride, weight + last_row * stride):
            store(grad, i, cast(0, grad))
    for s in range(n_samples):
        panel = s // width * plan[0, SIZE]
        lane = s % width
        row = load(order, first + s)
        end = load(indptr, row + 1)
        entry = _lower_bound(indices, load(indptr, row), end, first_row)
        while entry < end and load(indices, entry) < last_row:
            place = weight + np.int64(load(indices, entry)) * stride
            _add_sample(load(X, entry), plan, panels, panel, lane, grad, place)
            entry += 1
        if last_row > n_features:
            bias = weight + n_features * stride
            _add_sample(cast(1, panels), plan, panels, panel, lane, grad, bias)
