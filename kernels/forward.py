"""Prediction: rows of X through the network, block by block."""

from typing import Any

from numba import prange

from ._jit import kernel, paste
from .entries import has_entries
from .epoch import forward_panels
from .intrinsics import cast, lanes, load, store
from .loss import apply_softmax
from .panel import count_rows, gather_features, scatter, scatter_pair
from .plan import FAN_IN, FAN_OUT, OUTPUT, SCRATCH, SIZE
from .sigmoid import apply_sigmoid
from .simd import sum_of_zeros

# What becomes of the logits.
LOGITS = 0
SIGMOID = 1
SOFTMAX = 2
PAIR = 3  # of one unit: the probabilities of two classes, sigmoid(-z) and sigmoid(z)


@paste
def _activate_outputs(output: int, plan: Any, panels: Any, panel: int) -> None:
    last = plan.shape[0] - 1
    width = lanes(panels)
    n_outputs = plan[last, FAN_OUT]
    z = panel + plan[last, OUTPUT]
    scratch = panel + plan[last, SCRATCH]
    if output == SOFTMAX:
        apply_softmax(panels, z, scratch, n_outputs, width)
        return
    count = n_outputs * width
    if output == PAIR:
        # 1 - p would be 0 from a logit of 37 on, in float32 of 17.
        for lane in range(width):
            store(panels, scratch + lane, -load(panels, z + lane))
            store(panels, scratch + width + lane, load(panels, z + lane))
        z = scratch
        count = 2 * width
    if output != LOGITS:
        apply_sigmoid(panels, z, count)


@paste
def _forward_range(
    X: Any, indices: Any, indptr: Any, order: Any, place: int, first_panel: int, last_panel: int,
    plan: Any, params: Any, output: int, first_layer: int, panels: Any, panel: int, out: Any,
) -> Any:  # fmt: skip
    width = lanes(panels)
    n_samples = count_rows(X, indptr)
    n_ahead = width if indptr is None else 0
    by_entries = has_entries(plan, X, indptr)
    zero = cast(0, panels)
    for p in range(first_panel, last_panel):
        first = p * width
        count = min(width, n_samples - first)
        # This panel's rows, and the next one's to be fetched meanwhile.
        for i in range(2 * width):
            store(order, place + i, min(first + i, n_samples - 1))
        if not by_entries:
            gather_features(X, indices, indptr, plan[0, FAN_IN], order, place, count, panels, panel)
            zero += sum_of_zeros(panels, panel, plan[0, FAN_IN] * width)
        forward_panels(
            plan, params, panels, panel, 1, X, indices, indptr, order, place, count, by_entries,
            place + width, n_ahead,
        )  # fmt: skip
        _activate_outputs(output, plan, panels, panel)
        start = 0
        for i in range(first_layer, plan.shape[0]):
            fan_out = plan[i, FAN_OUT]
            source = panel + plan[i, OUTPUT]
            if output == PAIR and i == plan.shape[0] - 1:
                pair = panel + plan[i, SCRATCH]
                scatter_pair(panels, pair, width, count, out, start + first * 2)
            else:
                scatter(panels, source, width, count, out, start + first * fan_out, fan_out)
            start += n_samples * fan_out
    return zero


@kernel
def forward(
    X: Any, indices: Any, indptr: Any, order: Any, plan: Any, params: Any,
    output: int, first_layer: int, panels: Any, out: Any, zeros: Any, n_threads: int,
) -> None:  # fmt: skip
    """Write the activations of the layers from `first_layer` on, for all rows of X.

    `out` is flat and holds one (n_samples, fan_out) matrix a layer, one after the other;
    of PAIR, the last has two columns. `panels` has one panel a thread, and `order` room
    for twice as many numbers of rows. `zeros` has an element a thread: all are 0 if a
    dense X is finite, else one is NaN. A row's result does not depend on the rows around it.
    """
    width = lanes(panels)
    n_panels = (count_rows(X, indptr) + width - 1) // width
    for t in prange(n_threads):
        zeros[t] = _forward_range(
            X, indices, indptr, order, t * 2 * width,
            n_panels * t // n_threads, n_panels * (t + 1) // n_threads,
            plan, params, output, first_layer, panels, t * plan[0, SIZE], out,
        )  # fmt: skip
