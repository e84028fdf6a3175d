"""Prediction: rows of X through the network, block by block."""

from typing import Any

from numba import prange

from ._jit import kernel, paste
from .epoch import forward_panels
from .intrinsics import cast, lanes, store
from .loss import apply_softmax
from .panel import gather, scatter, scatter_pair
from .plan import FAN_IN, FAN_OUT, OUTPUT, SCRATCH, SIZE
from .sigmoid import apply_sigmoid
from .simd import sum_of_zeros

# What becomes of the logits.
LOGITS = 0
SIGMOID = 1
SOFTMAX = 2
PAIR = 3  # of one unit: the sigmoid as the probabilities of two classes, 1 - p and p


@paste
def _activate_outputs(output: int, plan: Any, panels: Any, panel: int) -> None:
    last = plan.shape[0] - 1
    width = lanes(panels)
    n_outputs = plan[last, FAN_OUT]
    z = panel + plan[last, OUTPUT]
    if output == SOFTMAX:
        apply_softmax(panels, z, panel + plan[last, SCRATCH], n_outputs, width)
    elif output != LOGITS:
        apply_sigmoid(panels, z, n_outputs * width)


@paste
def _forward_range(
    X: Any, order: Any, place: int, first_panel: int, last_panel: int, plan: Any, params: Any,
    output: int, first_layer: int, panels: Any, panel: int, out: Any,
) -> Any:  # fmt: skip
    width = lanes(panels)
    n_samples = X.shape[0]
    zero = cast(0, panels)
    for p in range(first_panel, last_panel):
        first = p * width
        count = min(width, n_samples - first)
        # This panel's rows, and the next one's to be fetched meanwhile.
        for i in range(2 * width):
            store(order, place + i, min(first + i, n_samples - 1))
        gather(X, plan[0, FAN_IN], order, place, count, panels, panel)
        zero += sum_of_zeros(panels, panel, plan[0, FAN_IN] * width)
        forward_panels(plan, params, panels, panel, 1, X, order, place + width, width)
        _activate_outputs(output, plan, panels, panel)
        start = 0
        for i in range(first_layer, plan.shape[0]):
            fan_out = plan[i, FAN_OUT]
            source = panel + plan[i, OUTPUT]
            if output == PAIR and i == plan.shape[0] - 1:
                scatter_pair(panels, source, count, out, start + first * 2)
            else:
                scatter(panels, source, width, count, out, start + first * fan_out, fan_out)
            start += n_samples * fan_out
    return zero


@kernel
def forward(
    X: Any, order: Any, plan: Any, params: Any, output: int, first_layer: int,
    panels: Any, out: Any, zeros: Any, n_threads: int,
) -> None:  # fmt: skip
    """Write the activations of the layers from `first_layer` on, for all rows of X.

    `out` is flat and holds one (n_samples, fan_out) matrix a layer, one after the other;
    of PAIR, the last has two columns. `panels` has one panel a thread, and `order` room
    for twice as many numbers of rows. `zeros` has an element a thread: all are 0 if X is
    finite, else one is NaN. A row's result does not depend on the rows around it.
    """
    width = lanes(panels)
    n_panels = (X.shape[0] + width - 1) // width
    for t in prange(n_threads):
        zeros[t] = _forward_range(
            X, order, t * 2 * width, n_panels * t // n_threads, n_panels * (t + 1) // n_threads,
            plan, params, output, first_layer, panels, t * plan[0, SIZE], out,
        )  # fmt: skip
