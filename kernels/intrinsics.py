"""Scalar building blocks that numba has no function for, written as LLVM code.

`load` and `store` matter most: numba's own indexing adds a branch for negative indices,
which hides from LLVM that neighbouring elements are neighbours, and the loop stays
scalar. They check nothing: an index comes from a plan that was checked at the boundary.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._numba import cgutils

# Bytes of one panel row: two of the widest vectors there are.
PANEL_BYTES = 128


def address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return a pointer to an element of an array, counted from its first."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def fma_function(builder: Any, vector: ir.Type) -> Any:
    """Return LLVM's fused multiply-add for a float type or a vector of floats."""
    element = vector.element if isinstance(vector, ir.VectorType) else vector
    suffix = "f32" if isinstance(element, ir.FloatType) else "f64"
    if isinstance(vector, ir.VectorType):
        suffix = f"v{vector.count}{suffix}"
    signature = ir.FunctionType(vector, [vector] * 3)
    return cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.{suffix}")


@intrinsic
def load(typingctx, array, index):
    """Return element `index` of a contiguous array of any shape, counted flat."""

    def codegen(context, builder, signature, args):
        return builder.load(address(context, builder, signature.args[0], *args))

    return array.dtype(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Set element `index` of a contiguous array of any shape, counted flat."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], address(context, builder, signature.args[0], *args[:2]))
        return context.get_dummy_value()

    return types.none(array, types.intp, array.dtype), codegen


@intrinsic
def lanes(typingctx, array):
    """Return how many samples a panel holds: 32 of float32, 16 of float64."""
    count = PANEL_BYTES // (array.dtype.bitwidth // 8)

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def holds_labels(typingctx, targets):
    """Return whether targets are labels, of one byte: known when a kernel is compiled."""
    answer = targets.dtype.bitwidth == 8

    def codegen(context, builder, signature, args):
        return context.get_constant(types.boolean, answer)

    return types.boolean(targets), codegen


@intrinsic
def cast(typingctx, value, array):
    """Return a number converted to the dtype of an array."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], signature.args[0], signature.return_type)

    return array.dtype(value, array), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` rounded once, on any processor."""

    def codegen(context, builder, signature, args):
        return builder.call(fma_function(builder, args[0].type), args)

    return a(a, a, a), codegen


# numba widens every integer to 64 bits, and with it a loop over float32 to half speed:
# what follows works on the bits of a float at the float's own width.


def _format(x):
    """Return the integer type of a float's width, and its bits of mantissa and bias."""
    width, mantissa, bias = {32: (32, 23, 127), 64: (64, 52, 1023)}[x.bitwidth]
    return ir.IntType(width), mantissa, bias


@intrinsic
def scaled_power(typingctx, shifted):
    """Return ``2**(n + 64)``, of float64 ``2**(n + 512)``, for n <= 0.

    Down to where 2**n underflows that is in the normal range, as 2**n need not be.
    `shifted` is the float ``n + 1.5 * 2**mantissa_bits``, which has n in its low bits.
    """
    integer, mantissa, bias = _format(shifted)
    scale = (bias + 1) // 2

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], integer)
        exponent = builder.shl(bits, ir.Constant(integer, mantissa))
        bits = builder.add(exponent, ir.Constant(integer, (bias + scale) << mantissa))
        return builder.bitcast(bits, args[0].type)

    return shifted(shifted), codegen


@intrinsic
def binary_exponent(typingctx, x):
    """Return the float k with ``2/3 <= x / 2**k < 4/3``, for a positive normal x."""
    integer, mantissa, _ = _format(x)

    def codegen(context, builder, signature, args):
        two_thirds = builder.bitcast(ir.Constant(args[0].type, 2 / 3), integer)
        difference = builder.sub(builder.bitcast(args[0], integer), two_thirds)
        k = builder.ashr(difference, ir.Constant(integer, mantissa))
        return builder.sitofp(k, args[0].type)

    return x(x), codegen


def constant(float32: float, float64: float) -> Callable[[Any], Any]:
    """Make ``f(x)``, the constant of the dtype of `x`."""

    @intrinsic
    def constant_like(typingctx, x):
        value = float32 if x.bitwidth == 32 else float64

        def codegen(context, builder, signature, args):
            return ir.Constant(args[0].type, value)

        return x(x), codegen

    return constant_like


def polynomial(float32: Sequence[float], float64: Sequence[float]) -> Callable[[Any], Any]:
    """Make ``f(x)``, a polynomial; coefficients lowest order first.

    By Horner's rule in x**2 on pairs of coefficients: as many operations as in x, where
    x**2 is wanted anyway, and half the latency.
    """

    @intrinsic
    def horner(typingctx, x):
        coefficients = float32 if x.bitwidth == 32 else float64

        def codegen(context, builder, signature, args):
            (x,) = args
            fma = fma_function(builder, x.type)
            constants = [ir.Constant(x.type, c) for c in coefficients]
            square = builder.fmul(x, x)
            pairs = [
                builder.call(fma, [x, odd, even])
                for even, odd in zip(constants[::2], constants[1::2], strict=False)
            ]
            terms = pairs + constants[2 * len(pairs) :]
            value = terms.pop()
            for term in reversed(terms):
                value = builder.call(fma, [value, square, term])
            return value

        return x(x), codegen

    return horner
