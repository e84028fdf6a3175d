"""Prediction: rows of X through the network, block by block."""

from typing import Any

from numba import prange

from ._jit import device, kernel
from .epoch import forward_panels
from .intrinsics import lanes, store
from .loss import apply_softmax
from .panel import gather, scatter
from .plan import FAN_IN, FAN_OUT, OUTPUT, SCRATCH, SIZE
from .sigmoid import apply_sigmoid

# What becomes of the logits.
LOGITS = 0
SIGMOID = 1
SOFTMAX = 2


@device
def _activate_outputs(output: int, plan: Any, panels: Any, panel: int) -> None:
    last = plan.shape[0] - 1
    width = lanes(panels)
    n_outputs = plan[last, FAN_OUT]
    z = panel + plan[last, OUTPUT]
    if output == SIGMOID:
        apply_sigmoid(panels, z, n_outputs * width)
    elif output == SOFTMAX:
        apply_softmax(panels, z, panel + plan[last, SCRATCH], n_outputs, width)


@device
def _forward_range(
    X: Any, order: Any, place: int, first_panel: int, last_panel: int, plan: Any, params: Any,
    output: int, first_layer: int, panels: Any, panel: int, out: Any,
) -> None:  # fmt: skip
    width = lanes(panels)
    n_samples = X.shape[0]
    for p in range(first_panel, last_panel):
        first = p * width
        count = min(width, n_samples - first)
        for lane in range(count):
            store(order, place + lane, first + lane)
        gather(X, plan[0, FAN_IN], order, place, count, panels, panel)
        forward_panels(plan, params, panels, panel, 1)
        _activate_outputs(output, plan, panels, panel)
        start = 0
        for i in range(first_layer, plan.shape[0]):
            fan_out = plan[i, FAN_OUT]
            scatter(
                panels, panel + plan[i, OUTPUT], width, count, out, start + first * fan_out, fan_out
            )
            start += n_samples * fan_out


@kernel
def forward(
    X: Any, order: Any, plan: Any, params: Any, output: int, first_layer: int,
    panels: Any, out: Any, n_threads: int,
) -> None:  # fmt: skip
    """Write the activations of the layers from `first_layer` on, for all rows of X.

    `out` is flat and holds one (n_samples, fan_out) matrix a layer, one after the other.
    `panels` has one panel a thread, and `order` room for as many numbers of rows. A
    row's result does not depend on the rows around it.
    """
    width = lanes(panels)
    n_panels = (X.shape[0] + width - 1) // width
    for t in prange(n_threads):
        _forward_range(
            X, order, t * width, n_panels * t // n_threads, n_panels * (t + 1) // n_threads,
            plan, params, output, first_layer, panels, t * plan[0, SIZE], out,
        )  # fmt: skip
