"""Formulas, written once with operators, for a single float and for vectors of them.

For many processors LLVM prefers registers of 32 bytes in the loops that it makes vectors of,
where 64 are there, and a loop of a few elements stays scalar. So the loops are written as LLVM
code here, their last vector masked. The sigmoid took 1.3 times as long without (Intel Xeon,
Skylake, 2.5 GHz).
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._numba import cgutils
from .intrinsics import address, float_function, fma_function
from .vector import (
    Loop,
    first_lanes,
    integer,
    load_vector,
    masked_load,
    splat,
    store_first_lanes,
    store_vector,
    vector_type,
)


class Number:
    """A float, or a vector of floats, of code that is being built.

    An operand may be a Number, a number of Python, or a pair of those, for float32 and float64.
    """

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    @property
    def is_single(self) -> bool:
        """Whether it is of float32."""
        kind = self.value.type
        element = kind.element if isinstance(kind, ir.VectorType) else kind
        return isinstance(element, ir.FloatType)

    def raw(self, operand: Any) -> Any:
        """Return an operand as LLVM has it."""
        if isinstance(operand, Number):
            return operand.value
        if isinstance(operand, tuple):
            operand = operand[0 if self.is_single else 1]
        return self._constant(self.value.type, float(operand))

    def filled(self, scalar: Any) -> "Number":
        """Return a float in each lane, if this has lanes."""
        kind = self.value.type
        is_vector = isinstance(kind, ir.VectorType)
        return self.like(splat(self.builder, scalar, kind) if is_vector else scalar)

    def like(self, value: Any) -> "Number":
        """Return what is built next to this."""
        return Number(self.builder, value)

    def _bits(self) -> tuple[Any, Any]:
        """Return the type of integers as wide as this, and how many bits a mantissa has."""
        kind = self.value.type
        integers = ir.IntType(32 if self.is_single else 64)
        if isinstance(kind, ir.VectorType):
            integers = ir.VectorType(integers, kind.count)
        return integers, self._constant(integers, 23 if self.is_single else 52)

    @staticmethod
    def _constant(kind: Any, value: Any) -> Any:
        return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)

    def __add__(self, other: Any) -> "Number":
        return self.like(self.builder.fadd(self.value, self.raw(other)))

    def __sub__(self, other: Any) -> "Number":
        return self.like(self.builder.fsub(self.value, self.raw(other)))

    def __rsub__(self, other: Any) -> "Number":
        return self.like(self.builder.fsub(self.raw(other), self.value))

    def __mul__(self, other: Any) -> "Number":
        return self.like(self.builder.fmul(self.value, self.raw(other)))

    def __truediv__(self, other: Any) -> "Number":
        return self.like(self.builder.fdiv(self.value, self.raw(other)))

    def __rtruediv__(self, other: Any) -> "Number":
        return self.like(self.builder.fdiv(self.raw(other), self.value))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Number":
        return self.like(self.builder.fneg(self.value))

    def __abs__(self) -> "Number":
        function = float_function(self.builder, "fabs", self.value.type, 1)
        return self.like(self.builder.call(function, [self.value]))

    def __lt__(self, other: Any) -> Any:
        return self.builder.fcmp_ordered("<", self.value, self.raw(other))

    def __gt__(self, other: Any) -> Any:
        return self.builder.fcmp_ordered(">", self.value, self.raw(other))

    def fma(self, factor: Any, term: Any) -> "Number":
        """Return ``self * factor + term``, rounded once."""
        function = fma_function(self.builder, self.value.type)
        operands = [self.value, self.raw(factor), self.raw(term)]
        return self.like(self.builder.call(function, operands))

    def sqrt(self) -> "Number":
        """Return the square root, rounded as the processor does: to the nearest."""
        function = float_function(self.builder, "sqrt", self.value.type, 1)
        return self.like(self.builder.call(function, [self.value]))

    def where(self, condition: Any, other: Any) -> "Number":
        """Return this where a condition is true, and the other elsewhere."""
        return self.like(self.builder.select(condition, self.value, self.raw(other)))

    def at_least(self, least: Any) -> "Number":
        """Return the larger of two; NaN where this is NaN."""
        return self.like(self.builder.select(self < least, self.raw(least), self.value))

    def polynomial(self, coefficients: tuple[Sequence[float], Sequence[float]]) -> "Number":
        """Return a polynomial; coefficients of float32 and of float64, lowest order first.

        By Horner's rule in x**2 on pairs of coefficients: as many operations as in x, where
        x**2 is wanted anyway, and half the latency.
        """
        own = [self.like(self.raw(c)) for c in coefficients[0 if self.is_single else 1]]
        square = self * self
        pairs = zip(own[::2], own[1::2], strict=False)
        terms = [self.fma(odd, even) for even, odd in pairs] + own[len(own) // 2 * 2 :]
        value = terms.pop()
        for term in reversed(terms):
            value = value.fma(square, term)
        return value

    def power_of_low_bits(self) -> "Number":
        """Return the float whose exponent's bits are the lowest bits of this one's mantissa."""
        integers, mantissa = self._bits()
        bits = self.builder.bitcast(self.value, integers)
        exponent = self.builder.shl(bits, mantissa)
        return self.like(self.builder.bitcast(exponent, self.value.type))

    def binary_exponent(self) -> "Number":
        """Return the float k with ``2/3 <= self / 2**k < 4/3``, for a positive normal one."""
        integers, mantissa = self._bits()
        two_thirds = self.builder.bitcast(self.raw(2 / 3), integers)
        difference = self.builder.sub(self.builder.bitcast(self.value, integers), two_thirds)
        k = self.builder.ashr(difference, mantissa)
        return self.like(self.builder.sitofp(k, self.value.type))


def scalar(formula: Callable[[Number], Number]) -> Any:
    """Make ``f(x)`` of a formula, for a single float."""

    @intrinsic
    def function(typingctx, x):
        def codegen(context, builder, signature, args):
            return formula(Number(builder, args[0])).value

        return x(x), codegen

    return function


def elementwise(formula: Callable[..., Sequence[Number | None]]) -> Any:
    """Make ``f(arrays, starts, count, scalars)``, which applies a formula element by element.

    The formula takes an element of each array, counted from its start, and the scalars. It
    returns what to put in their places, or None for what stays.
    """

    @intrinsic
    def function(typingctx, arrays, starts, count, scalars):
        def codegen(context, builder, signature, args):
            places = [
                address(context, builder, kind, array, start)
                for kind, array, start in zip(
                    signature.args[0],
                    cgutils.unpack_tuple(builder, args[0]),
                    cgutils.unpack_tuple(builder, args[1]),
                    strict=True,
                )
            ]
            vector = vector_type(context, signature.args[0][0])
            constants = cgutils.unpack_tuple(builder, args[3])

            def apply(values, write):
                numbers = [Number(builder, value) for value in values]
                others = [numbers[0].filled(value) for value in constants]
                for i, result in enumerate(formula(*numbers, *others)):
                    if result is not None:
                        write(result.value, i)

            _over_vectors(context, builder, vector, args[2], places, apply)
            return context.get_dummy_value()

        return types.none(arrays, starts, types.intp, scalars), codegen

    return function


def _over_vectors(
    context: Any, builder: Any, vector: ir.VectorType, count: Any, places: list[Any], apply: Any
) -> None:
    """Build ``apply(values, write)`` for `count` elements: whole vectors, and a rest masked.

    A rest of one is a float: what was just stored as one is late in a vector that is masked.
    """
    width = integer(vector.count)
    loop = Loop(builder, builder.sdiv(count, width), places)
    here = loop.values
    apply(
        [load_vector(builder, place, vector, 0) for place in here],
        lambda value, i: store_vector(builder, value, here[i], 0),
    )
    rest = loop.close([builder.gep(place, [width]) for place in here])
    left = builder.srem(count, width)
    with builder.if_then(builder.icmp_signed("==", left, integer(1))):
        apply(
            [builder.load(place) for place in rest],
            lambda value, i: builder.store(value, rest[i]),
        )
    with builder.if_then(builder.icmp_signed(">", left, integer(1))):
        mask = first_lanes(builder, vector, left)
        apply(
            [masked_load(builder, place, vector, mask) for place in rest],
            lambda value, i: store_first_lanes(context, builder, value, rest[i], left),
        )
