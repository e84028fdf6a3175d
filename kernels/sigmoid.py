"""The sigmoid and its relatives, from polynomials that vectorise.

Only `fma` and exactly rounded operations are used, so that the bits are the same with registers of
any width (tests/kernels/test_bits.py). The coefficients are derived in ``docs/polynomials.py``.
"""

from typing import Any

import numpy as np
from numba import prange

from ._jit import inline, kernel
from .formula import Number, elementwise, scalar

EXP = (
    (
        0.5,
        0.16666576266288757,
        0.041666556149721146,
        0.008363178931176662,
        0.0013926184037700295,
    ),
    (
        0.5000000000000001,
        0.16666666666666669,
        0.04166666666662413,
        0.008333333333330062,
        0.0013888888917213717,
        0.00019841269863053618,
        2.4801521295954376e-05,
        2.7557268459997064e-06,
        2.7620088445409746e-07,
        2.510038549551032e-08,
    ),
)
ATANH = (
    (
        0.33333319425582886,
        0.20003780722618103,
        0.14118309319019318,
        0.1342574954032898,
    ),
    (
        0.3333333333333333,
        0.20000000000007292,
        0.1428571428355438,
        0.11111111358713932,
        0.09090894718066429,
        0.07692785032479312,
        0.06657072104827468,
        0.06000536404795356,
        0.04400369243072337,
        0.08082022805971766,
    ),
)
LN2_HIGH = (0.693145751953125, 0.6931471805598903)
LN2_LOW = (1.428606765330187e-06, 5.497923018708371e-14)

LOG2_E = (float(np.float32(1.4426950408889634)), 1.4426950408889634)
# The bits of the exponent of 2**65, of float64 2**513: 2**(n + 65) is a normal number even where
# 2**n is none. Even, so that halves are rounded to the even integer below.
_SCALED_BIAS = (127 + 65, 1023 + 513)
# Undoes the scale; exact, but where the result is subnormal.
UNSCALE = (2.0**-65, 2.0**-513)
# Adding this to a number rounds it to an integer n. The low bits of the sum are then n above the
# scaled bias: the bits of the exponent of 2**(n + 65).
ROUND = (1.5 * 2**23 + _SCALED_BIAS[0], 1.5 * 2**52 + _SCALED_BIAS[1])
# exp underflows to zero below.
EXP_LEAST = (-104.0, -746.0)
_LEAST = (2.0**-126, 2.0**-1022)


def exp_nonpositive(x: Number) -> Number:
    """Return exp(x) for x <= 0, subnormal results included; NaN for NaN.

    ``x = n ln 2 + r`` with ``|r| <= ln(2) / 2``, and ``exp(x) = 2**n exp(r)``.
    """
    x = x.at_least(EXP_LEAST)
    shifted = x.fma(LOG2_E, ROUND)
    n = shifted - ROUND
    r = (-n).fma(LN2_LOW, (-n).fma(LN2_HIGH, x))
    power = shifted.power_of_low_bits()
    return power.fma((r * r).fma(r.polynomial(EXP), r), power) * UNSCALE


def exp(x: Number) -> Number:
    """Return exp(x): infinite where it is larger than any number, NaN for NaN.

    Of a positive x, the square of ``1 / exp(-x / 2)``, which does not underflow.
    """
    is_negative = x < 0.0
    e = exp_nonpositive(x.where(is_negative, -x / 2.0))
    root = 1.0 / e
    return e.where(is_negative, root * root)


def log1p_unit(e: Number) -> Number:
    """Return log(1 + e) for 0 <= e <= 1, as ``2 atanh(e / (2 + e))``."""
    f = e / (2.0 + e)
    u = f * f
    return 2.0 * (f * u).fma(u.polynomial(ATANH), f)


def log_from_one(x: Number) -> Number:
    """Return log(x) for finite x >= 1.

    ``x = 2**k m`` with m between 2/3 and 4/3, and ``log(m) = 2 atanh((m - 1) / (m + 1))``.
    """
    k = x.binary_exponent()
    m = x * (ROUND - k).power_of_low_bits() * UNSCALE
    f = (m - 1.0) / (m + 1.0)
    u = f * f
    log_m = 2.0 * (f * u).fma(u.polynomial(ATANH), f)
    return k.fma(LN2_HIGH, k.fma(LN2_LOW, log_m))


def log(x: Number) -> Number:
    """Return log(x) for finite x > 0; a subnormal x counts as the least normal number."""
    x = x.where(x > _LEAST, _LEAST)
    is_small = x < 1.0
    y = log_from_one((1.0 / x).where(is_small, x))
    return (-y).where(is_small, y)


def sigmoid(z: Number) -> Number:
    """Return 1 / (1 + exp(-z)).

    One exponential of ``-|z|`` serves both signs, so nothing overflows and both tails
    keep their relative accuracy. Putting back, to first order, what ``1 + e`` rounded
    off keeps the error within 2 ulp; it was 2.3 (tests/kernels/test_sigmoid.py).
    """
    e = exp_nonpositive(-abs(z))
    d = 1.0 + e
    d_low = e - (d - 1.0)
    s = e.where(z < 0.0, 1.0) / d
    return s.fma(-d_low, s)


def sigmoid_slope(a: Number) -> Number:
    """Return the derivative of the sigmoid where its value is `a`."""
    return a * (1.0 - a)


# Of a single float.
exp_of_one = scalar(exp)
sigmoid_of_one = scalar(sigmoid)
slope_of_one = scalar(sigmoid_slope)

# Of the elements of arrays, in place.
_sigmoids = elementwise(lambda z: [sigmoid(z)])
_exponentials = elementwise(lambda z: [exp(z)])
_slopes = elementwise(lambda a, delta: [None, delta * sigmoid_slope(a)])


@inline
def apply_sigmoid(z: Any, start: int, count: int) -> None:
    """Replace `count` elements of `z`, from `start` on, by their sigmoid."""
    _sigmoids((z,), (start,), count, ())


@inline
def apply_exp(z: Any, start: int, count: int) -> None:
    """Replace `count` elements of `z`, from `start` on, by their exponential."""
    _exponentials((z,), (start,), count, ())


@inline
def apply_sigmoid_derivative(a: Any, a_start: int, delta: Any, start: int, count: int) -> None:
    """Multiply elements of `delta` by the derivative a (1 - a), a being activations."""
    _slopes((a, delta), (a_start, start), count, ())


@kernel
def sigmoid_forward(z: Any, n_threads: int) -> None:
    """Replace the elements of a contiguous array by their sigmoid."""
    for t in prange(n_threads):
        start = z.size * t // n_threads
        apply_sigmoid(z, start, z.size * (t + 1) // n_threads - start)


@kernel
def sigmoid_backward(a: Any, delta: Any, n_threads: int) -> None:
    """Multiply `delta` by the derivative of the sigmoid, given its value `a`."""
    for t in prange(n_threads):
        start = a.size * t // n_threads
        count = a.size * (t + 1) // n_threads - start
        apply_sigmoid_derivative(a, start, delta, start, count)
