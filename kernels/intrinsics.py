"""Scalar building blocks that numba has no function for, written as LLVM code.

`load` and `store` matter most: numba's own indexing adds a branch for negative indices,
which hides from LLVM that neighbouring elements are neighbours, and the loop stays
scalar. They check nothing: an index comes from a plan that was checked at the boundary.
"""

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
    return float_function(builder, "fma", vector, 3)


def float_function(builder: Any, name: str, vector: ir.Type, n_operands: int) -> Any:
    """Return a function of LLVM's for a float type or a vector of floats."""
    element = vector.element if isinstance(vector, ir.VectorType) else vector
    suffix = "f32" if isinstance(element, ir.FloatType) else "f64"
    if isinstance(vector, ir.VectorType):
        suffix = f"v{vector.count}{suffix}"
    signature = ir.FunctionType(vector, [vector] * n_operands)
    return cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.{suffix}")


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


def on_stack(count: int) -> Any:
    """Make a function of an array, which returns an array of `count` of its elements.

    They are on the stack of the function that calls it, and hold anything.
    """

    @intrinsic
    def stack(typingctx, array):
        kind = types.Array(array.dtype, 1, "C")

        def codegen(context, builder, signature, args):
            element = context.get_data_type(array.dtype)
            # Where the function begins: in a loop, the stack would grow with each round.
            with builder.goto_entry_block():
                place = builder.alloca(ir.ArrayType(element, count))
                place.align = PANEL_BYTES
            made = context.make_array(kind)(context, builder)
            size = context.get_constant(types.intp, count)
            n_bytes = context.get_constant(types.intp, context.get_abi_sizeof(element))
            made.data = builder.bitcast(place, element.as_pointer())
            made.nitems, made.itemsize = size, n_bytes
            made.shape = cgutils.pack_array(builder, [size])
            made.strides = cgutils.pack_array(builder, [n_bytes])
            return made._getvalue()

        return kind(array), codegen

    return stack


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
