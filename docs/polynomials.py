"""Derive the polynomials of ``kernels/sigmoid.py``.

``python docs/polynomials.py`` prints them; ``tests/kernels/test_sigmoid.py`` checks that the
constants in the source are the ones derived here.

exp
    On ``|r| <= ln(2) / 2``, ``exp(r) = 1 + r + r**2 P(r)``: the first two coefficients
    are exact by construction, so that ``exp(0) == 1`` and hence ``sigmoid(0) == 0.5``.
atanh
    ``atanh(f) = f + f**3 Q(f**2)`` on ``f**2 <= 1 / 9``, which covers ``log1p(e)`` for
    ``0 <= e <= 1`` through ``log1p(e) = 2 atanh(e / (2 + e))``.

P and Q interpolate at Chebyshev nodes (:func:`mpmath.chebyfit`), which is within a
small factor of minimax. The degrees are the lowest whose approximation error is below
half of the dtype's unit roundoff, so that rounding, not the polynomial, decides.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 50


def _exp_tail(r):
    if abs(r) < mp.mpf(10) ** -20:
        return mp.mpf(1) / 2 + r / 6
    return (mp.exp(r) - 1 - r) / r**2


def _atanh_tail(u):
    if u < mp.mpf(10) ** -20:
        return mp.mpf(1) / 3 + u / 5
    f = mp.sqrt(u)
    return (mp.atanh(f) / f - 1) / u


def _fit(function, interval, degree, scale, dtype):
    """Return the coefficients, lowest order first, rounded to `dtype`, and the error."""
    coefficients, error = mp.chebyfit(function, interval, degree + 1, error=True)
    rounded = tuple(float(dtype(float(c))) for c in reversed(coefficients))
    return rounded, float(error * scale)


def derive(dtype):
    """Return ``{name: (coefficients, approximation error)}`` for a float dtype."""
    exp_degree, atanh_degree = {np.float32: (4, 3), np.float64: (9, 9)}[dtype]
    half = mp.log(2) / 2 * mp.mpf("1.0001")  # the reduction rounds
    return {
        "EXP": _fit(_exp_tail, [-half, half], exp_degree, half**2, dtype),
        "ATANH": _fit(_atanh_tail, [0, mp.mpf(1) / 9], atanh_degree, mp.mpf(1) / 9, dtype),
    }


def split_ln2(dtype, bits):
    """Return ln 2 as a sum of two floats, the first with at most `bits` bits."""
    scale = mp.mpf(2) ** bits
    high = mp.floor(mp.log(2) * scale) / scale
    return float(high), float(dtype(float(mp.log(2) - high)))


if __name__ == "__main__":
    for dtype, bits in ((np.float32, 15), (np.float64, 42)):
        print(f"# {dtype.__name__}: ln 2 = {split_ln2(dtype, bits)}")
        for name, (coefficients, error) in derive(dtype).items():
            print(f"{name} = (  # relative error {error:.1e}")
            for c in coefficients:
                print(f"    {c!r},")
            print(")")
