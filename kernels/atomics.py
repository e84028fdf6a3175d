"""Operations on integers that several threads share, as LLVM code: each is one step to all."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._numba import cgutils
from .intrinsics import address


@intrinsic
def atomic_load(typingctx, array, index):
    """Return an element; what its writer wrote before is seen after."""

    def codegen(context, builder, signature, args):
        place = address(context, builder, signature.args[0], *args)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def atomic_store(typingctx, array, index, value):
    """Set an element, after all that was written before."""

    def codegen(context, builder, signature, args):
        place = address(context, builder, signature.args[0], *args[:2])
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, types.int64), codegen


@intrinsic
def atomic_add(typingctx, array, index, value):
    """Add to an element in one step."""

    def codegen(context, builder, signature, args):
        place = address(context, builder, signature.args[0], *args[:2])
        builder.atomic_rmw("add", place, args[2], "acq_rel")
        return context.get_dummy_value()

    return types.none(array, types.intp, types.int64), codegen


@intrinsic
def compare_and_swap(typingctx, array, index, old, new):
    """Set an element if it is `old`, in one step; return whether it was."""

    def codegen(context, builder, signature, args):
        place = address(context, builder, signature.args[0], *args[:2])
        outcome = builder.cmpxchg(place, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(outcome, 1)

    return types.boolean(array, types.intp, types.int64, types.int64), codegen


@intrinsic
def pause(typingctx):
    """Let the processor's other thread of execution go first for a moment, where there is one."""

    def codegen(context, builder, signature, args):
        triple = context.codegen().magic_tuple()[0]
        if triple.startswith(("x86_64", "i686")):
            function = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, function, name), [])
        return context.get_dummy_value()

    return types.none(), codegen
