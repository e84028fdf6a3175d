"""Scalar building blocks that numba has no function for, written as LLVM code.

`load` and `store` matter most: numba's own indexing adds a branch for negative indices,
which hides from LLVM that neighbouring elements are neighbours, and the loop stays
scalar. They check nothing: an index comes from a plan that was checked at the boundary.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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


@intrinsic
def bits(typingctx, x):
    """Return the bits of a float as an integer of the same width."""
    integer = types.Integer.from_bitwidth(x.bitwidth)

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(x.bitwidth))

    return integer(x), codegen


@intrinsic
def power_of_two(typingctx, n):
    """Return ``2**n`` as the float of the integer's width; n in its normal range."""
    mantissa, bias = {32: (23, 127), 64: (52, 1023)}[n.bitwidth]
    real = {32: types.float32, 64: types.float64}[n.bitwidth]

    def codegen(context, builder, signature, args):
        integer = args[0].type
        exponent = builder.add(args[0], ir.Constant(integer, bias))
        shifted = builder.shl(exponent, ir.Constant(integer, mantissa))
        return builder.bitcast(shifted, context.get_value_type(real))

    return real(n), codegen


@intrinsic
def real(typingctx, n):
    """Return an integer as the float of the same width."""
    result = {32: types.float32, 64: types.float64}[n.bitwidth]

    def codegen(context, builder, signature, args):
        return builder.sitofp(args[0], context.get_value_type(result))

    return result(n), codegen


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
    """Make ``f(x)``, a polynomial by Horner's rule; coefficients lowest order first."""

    @intrinsic
    def horner(typingctx, x):
        coefficients = float32 if x.bitwidth == 32 else float64

        def codegen(context, builder, signature, args):
            multiply_add = fma_function(builder, args[0].type)
            value, *rest = (ir.Constant(args[0].type, c) for c in reversed(coefficients))
            for c in rest:
                value = builder.call(multiply_add, [value, args[0], c])
            return value

        return x(x), codegen

    return horner
