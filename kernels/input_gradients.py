"""The derivatives of the network's outputs by its inputs, panel by panel."""

from typing import Any

from numba import prange

from ._jit import device, kernel, paste
from .claims import claim, finish, is_done_soon
from .dense import backward_units
from .forward import EXPONENTIAL, SIGMOID, SOFTMAX
from .intrinsics import cast, lanes, load, store
from .loss import apply_softmax
from .panel import gather_features, scatter
from .passes import forward_panels
from .plan import DELTA, FAN_IN, FAN_OUT, INPUT, OUTPUT, SCRATCH, SIZE, STRIDE, WEIGHT
from .sigmoid import apply_sigmoid_derivative, exp_of_one, sigmoid_of_one


@device
def _output_deltas(
    output: int, unit: int, n_outputs: int, width: int, panels: Any, outputs: int, delta: int
) -> None:
    """Write the derivative of one unit's output by the logits that it depends on.

    `outputs` is where the logits are, or of SOFTMAX the probabilities p: it depends on all
    of them, by ``-p[unit] p[j]``, and by its own so that these sum to zero. Other outputs
    depend on their own logit alone. Nothing is subtracted from 1, so that an output near 1
    has as accurate a derivative as one near 0.
    """
    own = delta + unit * width
    value = outputs + unit * width
    if output != SOFTMAX:
        for lane in range(width):
            z = load(panels, value + lane)
            slope = cast(1, panels)
            if output == SIGMOID:
                slope = sigmoid_of_one(z) * sigmoid_of_one(-z)
            elif output == EXPONENTIAL:
                slope = exp_of_one(z)
            store(panels, own + lane, slope)
        return
    for lane in range(width):
        store(panels, own + lane, cast(0, panels))
    for j in range(n_outputs):
        if j != unit:
            for lane in range(width):
                p = load(panels, value + lane) * load(panels, outputs + j * width + lane)
                store(panels, delta + j * width + lane, -p)
                store(panels, own + lane, load(panels, own + lane) + p)


@device
def _backward_to_inputs(
    plan: Any, params: Any, first_unit: int, n_units: int, panels: Any, panel: int
) -> None:
    """Take one panel's deltas from some output units back to the inputs.

    Where the inputs were, their derivatives are afterwards; the row of ones stays.
    """
    width = lanes(panels)
    for i in range(plan.shape[0] - 1, -1, -1):
        fan_in = plan[i, FAN_IN]
        weight = plan[i, WEIGHT] + first_unit
        source = panel + plan[i, DELTA] + first_unit * width
        target = panel + (plan[i - 1, DELTA] if i > 0 else plan[0, INPUT])
        backward_units(
            params, weight, plan[i, STRIDE], fan_in, n_units, 1, panels, source, 0,
            panels, target, 0,
        )  # fmt: skip
        if i > 0:
            apply_sigmoid_derivative(panels, panel + plan[i, INPUT], panels, target, fan_in * width)
            first_unit = 0
            n_units = fan_in


@paste
def _differentiate_range(
    X: Any, indices: Any, indptr: Any, order: Any, first_panel: int, last_panel: int,
    plan: Any, params: Any, output: int, panels: Any, panel: int, out: Any,
) -> None:  # fmt: skip
    width = lanes(panels)
    n_features = plan[0, FAN_IN]
    last = plan.shape[0] - 1
    n_outputs = plan[last, FAN_OUT]
    outputs = panel + plan[last, OUTPUT]
    n_ahead = width if indptr is None else 0
    for p in range(first_panel, last_panel):
        first = p * width
        count = min(width, order.size - first)
        gather_features(X, indices, indptr, n_features, order, first, count, panels, panel)
        forward_panels(
            plan, params, panels, panel, 1, X, indices, indptr, order, first, count, False,
            first + width, n_ahead,
        )  # fmt: skip
        if output == SOFTMAX:
            apply_softmax(panels, outputs, panel + plan[last, SCRATCH], n_outputs, width)
        for unit in range(n_outputs):
            _output_deltas(
                output, unit, n_outputs, width, panels, outputs, panel + plan[last, DELTA]
            )
            if output == SOFTMAX:
                _backward_to_inputs(plan, params, 0, n_outputs, panels, panel)
            else:
                _backward_to_inputs(plan, params, unit, 1, panels, panel)
            for lane in range(count):
                row = ((first + lane) * n_outputs + unit) * n_features
                scatter(panels, panel + lane, width, 1, out, row, n_features)


@kernel
def input_gradients(
    X: Any, indices: Any, indptr: Any, order: Any, plan: Any, params: Any, output: int,
    panels: Any, block_panels: int, out: Any, claims: Any, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write the derivative of each output by each feature, for the rows `order` of X.

    `output` says what the outputs are: LOGITS, SIGMOID, SOFTMAX or EXPONENTIAL of them. `out` is
    flat, (n_samples, n_outputs, n_features); `panels` has one panel a worker. A row's result does
    not depend on the rows around it. Blocks are those of `forward`.
    """
    n_panels = (order.size + lanes(panels) - 1) // lanes(panels)
    for worker in prange(first_worker, last_worker):
        block = claim(claims, worker)
        while block >= 0:
            first_panel = block * block_panels
            _differentiate_range(
                X, indices, indptr, order, first_panel,
                min(first_panel + block_panels, n_panels),
                plan, params, output, panels, worker * plan[0, SIZE], out,
            )  # fmt: skip
            finish(claims)
            block = claim(claims, worker)
        if worker == 0:
            is_done_soon(claims)
