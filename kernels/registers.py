"""Plain descent sample by sample, for networks so small that all parameters stay in registers.

In `rows` each step of a sample goes through memory, and that takes most of the time. Here the code
is made for a network's sizes and its loss, as one loop over samples: fits take 0.28 to 0.34 of the
time (2-2-1, 3-4-1, 3-3-3; one core of an Intel Xeon, Skylake), beside two busy processes 0.25 to
0.38. Compiling takes 0.3 s for each network. The operations and their order are those of
`train_rows`, so the bits are the same, and training can change from one to the other between calls.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._jit import special_kernel
from .formula import Number
from .intrinsics import address, cast
from .loss import losses_of
from .plan import FAN_OUT, ROWS, IntArray, count_parameters
from .row_update import FEW_WEIGHTS
from .sigmoid import sigmoid, sigmoid_slope
from .update import ALPHA, LEARNING_RATE, SETTLED_EACH, SGD, settle, settles
from .vector import Loop, grid, integer

_MOST_PARAMETERS = 64

# The weights of a layer, a row for each input, then the row of biases, if there is one.
Matrix = list[list[Number]]


def fits_in_registers(plan: IntArray) -> bool:
    """Return whether a network is small enough, and scalar code in `train_rows`."""
    is_scalar = (plan[:, ROWS] * plan[:, FAN_OUT] <= FEW_WEIGHTS).all()
    return bool(is_scalar and count_parameters(plan) <= _MOST_PARAMETERS)


@lru_cache(maxsize=64)
def descent_kernel(sizes: tuple[int, ...], fit_intercept: bool, loss: int) -> Any:
    """Return a kernel for one network and loss, which is compiled when it is first called.

    ``kernel(X, Y, order, first_sample, last_sample, params, hyper, total_loss)`` does what
    `train_rows` does for mini-batches of one sample that all count the same, with dense X, without
    clipping. It returns how many samples it has trained on: fewer than asked for if the loss of one
    of the next 32 is not finite.
    """
    run = _run(sizes, fit_intercept, loss)

    def descend_in_registers(
        X: Any, Y: Any, order: Any, first_sample: int, last_sample: int, params: Any, hyper: Any,
        total_loss: Any,
    ) -> int:  # fmt: skip
        alpha = hyper[ALPHA]
        factor = cast(-hyper[LEARNING_RATE], params)
        decay = cast(1.0 - hyper[LEARNING_RATE] * alpha, params)
        epoch_size = order.size // total_loss.size
        first = first_sample
        while first < last_sample:
            epoch = first // epoch_size
            n_before = first - epoch * epoch_size
            # A run ends with the sample after whose step weights are settled.
            stop = first + (-n_before) % SETTLED_EACH + 1
            stop = min(stop, min((epoch + 1) * epoch_size, last_sample))
            loss = run(
                X, Y, order, first, stop, params, factor, decay, 0.5 * alpha, total_loss[epoch]
            )
            if not loss - loss == 0.0:
                return first - first_sample
            total_loss[epoch] = loss
            if settles(stop - 1 - epoch * epoch_size, 1):
                settle(SGD, params, params, 0, params.size)
            first = stop
        return last_sample - first_sample

    return special_kernel(descend_in_registers, f"{sizes}, {fit_intercept}, {loss}")


def _run(sizes: Sequence[int], fit_intercept: bool, loss: int) -> Any:
    """Make the loop over the samples from `first` on, before `last`.

    It returns `total`, to which the losses are added, and writes the parameters if that is finite.
    """
    shapes = [(fan_in + fit_intercept, fan_out) for fan_in, fan_out in pairwise(sizes)]

    @intrinsic
    def run(typingctx, X, Y, order, first, last, params, factor, decay, half_alpha, total):
        def codegen(context, builder, signature, args):
            kinds = signature.args
            X, Y, params = (
                address(context, builder, kinds[i], args[i], integer(0)) for i in (0, 1, 5)
            )
            order = address(context, builder, kinds[2], *args[2:4])
            places = [
                builder.gep(params, [integer(i)]) for i in range(sum(n * m for n, m in shapes))
            ]
            weights = [builder.load(place) for place in places]
            count = builder.sub(args[4], args[3])
            loop = Loop(builder, count, [order, args[9], *weights])
            order, total, *weights = loop.values
            row = builder.load(order)
            x = _elements(builder, X, row, sizes[0], weights[0].type)
            y = _elements(builder, Y, row, sizes[-1], weights[0].type)
            factor, decay = (Number(builder, value) for value in args[6:8])
            sample_loss, squares, stepped = _descend(
                _matrices(builder, weights, shapes), x, y, loss, fit_intercept, factor, decay
            )
            penalty = builder.fmul(args[8], squares)
            total = builder.fadd(total, builder.fadd(sample_loss, penalty))
            new = [w.value for matrix in stepped for weight_row in matrix for w in weight_row]
            _, total, *weights = loop.close([builder.gep(order, [integer(1)]), total, *new])
            difference = builder.fsub(total, total)
            is_finite = builder.fcmp_ordered("==", difference, ir.Constant(total.type, 0.0))
            with builder.if_then(is_finite):
                for place, weight in zip(places, weights, strict=True):
                    builder.store(weight, place)
            return total

        n, real = types.intp, params.dtype
        kinds = X, Y, order, n, n, params, real, real, types.float64, types.float64
        return types.float64(*kinds), codegen

    return run


def _elements(builder: Any, matrix: Any, row: Any, n_columns: int, kind: Any) -> list[Number]:
    """Load a row of features or targets; labels are bytes."""
    start = builder.mul(row, integer(n_columns))
    values = [
        builder.load(builder.gep(matrix, [builder.add(start, integer(i))]))
        for i in range(n_columns)
    ]
    return [
        Number(builder, value if value.type == kind else builder.uitofp(value, kind))
        for value in values
    ]


def _matrices(builder: Any, flat: list[Any], shapes: list[tuple[int, int]]) -> list[Matrix]:
    numbers = [Number(builder, value) for value in flat]
    matrices = []
    for n_rows, n_columns in shapes:
        matrices.append(grid(numbers[: n_rows * n_columns], n_columns))
        numbers = numbers[n_rows * n_columns :]
    return matrices


def _descend(
    layers: list[Matrix], x: list[Number], y: list[Number], loss: int, fit_intercept: bool,
    factor: Number, decay: Number,
) -> tuple[Any, Any, list[Matrix]]:  # fmt: skip
    """Take a step on one sample: the textbook's loop, written once, for any sizes.

    Return the sample's loss and the sum of squared weights, both float64, and the new parameters.
    """
    bias = [x[0].like(x[0].raw(1.0))] if fit_intercept else []
    inputs, z = [], x
    for i, weights in enumerate(layers):
        inputs.append((z if i == 0 else [sigmoid(value) for value in z]) + bias)
        z = [_dot(inputs[-1], column) for column in zip(*weights, strict=True)]
    losses = losses_of(loss, z, y)
    squares = _sum_of_doubles(
        [
            _dot(flat, flat)
            for weights, a in zip(layers, inputs, strict=True)
            for flat in [[w for row in weights[: len(a) - len(bias)] for w in row]]
        ]
    )
    delta = [derivative for _, derivative in losses]
    stepped = []
    for i in reversed(range(len(layers))):
        weights, a = layers[i], inputs[i]
        n_weights = len(a) - len(bias)
        rows = zip(weights, a, [decay] * n_weights + bias, strict=True)
        stepped.append([_step(row, factor * value, delta, kept) for row, value, kept in rows])
        if i > 0:
            delta = [
                _dot(row, delta) * sigmoid_slope(value)
                for row, value in zip(weights[:n_weights], a, strict=False)
            ]
    return _sum_of_doubles([value for value, _ in losses]), squares, stepped[::-1]


def _step(row: list[Number], step: Number, delta: list[Number], kept: Number) -> list[Number]:
    return [step.fma(d, kept * w) for w, d in zip(row, delta, strict=True)]


def _dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    """Return the sum of products, one chain from 0 on."""
    total = a[0].like(a[0].raw(0.0))
    for x, y in zip(a, b, strict=True):
        total = y.fma(x, total)
    return total


def _sum_of_doubles(numbers: list[Number]) -> Any:
    """Return a sum in float64, from 0 on."""
    builder = numbers[0].builder
    double = ir.DoubleType()
    total = ir.Constant(double, 0.0)
    for number in numbers:
        value = builder.fpext(number.value, double) if number.is_single else number.value
        total = builder.fadd(total, value)
    return total
