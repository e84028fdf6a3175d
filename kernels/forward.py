"""Prediction: rows of X through the network, block by block."""

from typing import Any

from numba import prange

from ._jit import kernel, paste
from .claims import claim, finish, is_done_soon
from .entries import has_entries
from .intrinsics import cast, lanes, load, store
from .loss import apply_softmax
from .panel import count_rows, gather_features, scatter, scatter_pair
from .passes import forward_panels
from .plan import FAN_IN, FAN_OUT, OUTPUT, SCRATCH, SIZE
from .sigmoid import apply_exp, apply_sigmoid
from .simd import sum_of_zeros

# What becomes of the logits.
LOGITS = 0
SIGMOID = 1
SOFTMAX = 2
PAIR = 3  # of one unit: the probabilities of two classes, sigmoid(-z) and sigmoid(z)
EXPONENTIAL = 4


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
    if output == EXPONENTIAL:
        apply_exp(panels, z, count)
    elif output != LOGITS:
        apply_sigmoid(panels, z, count)


@paste
def _write_outputs(
    output: int, plan: Any, first_layer: int, panels: Any, panel: int, first: int, count: int,
    n_samples: int, out: Any,
) -> None:  # fmt: skip
    """Write what `forward` is asked for of one panel, whose samples are `first` and on."""
    width = lanes(panels)
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


@paste
def _forward_group(
    X: Any, indices: Any, indptr: Any, order: Any, place: int, first_panel: int, n_panels: int,
    group: int, plan: Any, params: Any, output: int, first_layer: int, by_entries: bool,
    panels: Any, panel: int, out: Any,
) -> Any:  # fmt: skip
    """Take some panels of samples through the network, in workspace from `panel` on."""
    width = lanes(panels)
    size = plan[0, SIZE]
    n_samples = count_rows(X, indptr)
    first = first_panel * width
    # These panels' rows, and those of the next ones, to be fetched meanwhile.
    for i in range(2 * group * width):
        store(order, place + i, min(first + i, n_samples - 1))
    zero = cast(0, panels)
    for p in range(n_panels):
        if not by_entries:
            start = panel + p * size
            count = min(width, n_samples - first - p * width)
            gather_features(
                X, indices, indptr, plan[0, FAN_IN], order, place + p * width, count, panels, start
            )
            zero += sum_of_zeros(panels, start, plan[0, FAN_IN] * width)
    n_ahead = n_panels * width if indptr is None else 0
    forward_panels(
        plan, params, panels, panel, n_panels, X, indices, indptr, order, place,
        n_samples - first, by_entries, place + n_panels * width, n_ahead,
    )  # fmt: skip
    for p in range(n_panels):
        start = panel + p * size
        begin = first + p * width
        count = min(width, n_samples - begin)
        _activate_outputs(output, plan, panels, start)
        _write_outputs(output, plan, first_layer, panels, start, begin, count, n_samples, out)
    return zero


@paste
def _forward_block(
    X: Any, indices: Any, indptr: Any, order: Any, place: int, first_panel: int, last_panel: int,
    group: int, plan: Any, params: Any, output: int, first_layer: int, panels: Any, panel: int,
    out: Any,
) -> Any:  # fmt: skip
    by_entries = has_entries(plan, X, indptr)
    zero = cast(0, panels)
    for begin in range(first_panel, last_panel, group):
        zero += _forward_group(
            X, indices, indptr, order, place, begin, min(group, last_panel - begin), group,
            plan, params, output, first_layer, by_entries, panels, panel, out,
        )  # fmt: skip
    return zero


@kernel
def forward(
    X: Any, indices: Any, indptr: Any, order: Any, plan: Any, params: Any, output: int,
    first_layer: int, panels: Any, group: int, block_panels: int, out: Any, zeros: Any,
    claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write the activations of the layers from `first_layer` on, for all rows of X.

    `out` is flat and holds one (n_samples, fan_out) matrix a layer, one after the other;
    of PAIR, the last has two columns. A block of `claims` is `block_panels` panels of
    rows, `group` of which are taken through the network together: `panels` has so many a
    worker, and `order` room for twice as many numbers of rows. `zeros` has an element a
    worker: all are 0 if a dense X is finite, else one is NaN. A row's result does not depend
    on the rows around it.
    """
    width = lanes(panels)
    n_panels = (count_rows(X, indptr) + width - 1) // width
    for worker in prange(first_worker, last_worker):
        block = claim(claims, worker)
        while block >= 0:
            first_panel = block * block_panels
            zeros[worker] += _forward_block(
                X, indices, indptr, order, worker * 2 * group * width,
                first_panel, min(first_panel + block_panels, n_panels), group,
                plan, params, output, first_layer, panels, worker * group * plan[0, SIZE], out,
            )  # fmt: skip
            finish(claims)
            block = claim(claims, worker)
        if worker == 0:
            is_done_soon(claims)
