"""The sigmoid and its relatives: accuracy in ulp, special values, shape of the curve."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import special

from fastnet import kernels
from fastnet.kernels.formula import scalar

from .. import reference
from ..reference import DTYPES, Array, assert_close, forms

sigmoid = kernels.sigmoid

pytestmark = pytest.mark.parametrize("dtype", DTYPES)

# Units in the last place that a result may be away from the true value.
MAX_ULP = {np.float32: 2.0, np.float64: 2.0}
MAX_EXP_ULP = 1.0
MAX_LOG_ULP = 2.5

# Below, the sigmoid is subnormal.
SUBNORMAL = {np.float32: -87.4, np.float64: -708.4}
# Below, it is zero.
ZERO = {np.float32: -103.98, np.float64: -745.14}


def elementwise(formula: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """Return a function of an array that applies a formula to each element of a copy."""
    function = scalar(formula)

    @numba.njit(error_model="numpy")
    def fill(x):
        for i in range(x.size):
            x[i] = function(x[i])

    def apply(x: Array) -> Array:
        result = x.copy()
        fill(result)
        return result

    return apply


exp_nonpositive = elementwise(sigmoid.exp_nonpositive)
log1p_unit = elementwise(sigmoid.log1p_unit)
log_from_one = elementwise(sigmoid.log_from_one)
exp = elementwise(sigmoid.exp)
log = elementwise(sigmoid.log)


def compute(z: Array) -> Array:
    """Return the kernel's sigmoid of a copy."""
    result = z.copy()
    kernels.sigmoid_forward.serial(result, 1)
    return result


def ulps(actual: Array, exact: Array) -> float:
    """Return the largest error in units of the last place of the exact value's float."""
    unit = np.spacing(np.abs(exact.astype(actual.dtype))).astype(np.longdouble)
    return float(np.max(np.abs(actual.astype(np.longdouble) - exact) / unit))


def exact_values(function: Callable[[Any], Any], x: Array) -> Array:
    """Return a mpmath function of every element, rounded to long double."""
    with mpmath.workdps(40):
        values = [function(mpmath.mpf(float(v))) for v in x]
        # Float by float: mpmath knows no long double.
        return np.array([np.longdouble(float(v)) + float(v - float(v)) for v in values])


def stratified(dtype: Any, count: int) -> Array:
    """Return arguments of both signs: uniform, of every magnitude, and with tiny results."""
    rng = np.random.default_rng(0)
    tail = -ZERO[dtype]
    magnitudes = np.concatenate(
        [
            rng.uniform(0, 6, count),
            rng.uniform(0, tail, count),
            10 ** rng.uniform(-30, 2, count),
            rng.uniform(-SUBNORMAL[dtype], tail, count),
        ]
    )
    return np.concatenate([-magnitudes, magnitudes]).astype(dtype)


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="long double is no better than double here"
)
def test_sigmoid_is_accurate_by_scipy(dtype: Any) -> None:
    z = stratified(dtype, 100_000)
    assert ulps(compute(z), special.expit(z.astype(np.longdouble))) <= MAX_ULP[dtype]


def test_sigmoid_is_accurate_by_mpmath(dtype: Any) -> None:
    z = stratified(dtype, 1_000)
    exact = exact_values(lambda v: 1 / (1 + mpmath.exp(-v)), z)
    assert ulps(compute(z), exact) <= MAX_ULP[dtype]


def test_sigmoid_of_zero_is_one_half(dtype: Any) -> None:
    assert_array_equal(compute(np.array([0.0, -0.0], dtype)), [0.5, 0.5])


def test_sigmoid_of_special_values(dtype: Any) -> None:
    largest = np.finfo(dtype).max
    z = np.array([np.inf, largest, 800, -800, -largest, -np.inf, np.nan], dtype)
    assert_array_equal(compute(z), [1, 1, 1, 0, 0, 0, np.nan])


def test_sigmoid_keeps_subnormal_results(dtype: Any) -> None:
    z = np.linspace(SUBNORMAL[dtype], ZERO[dtype], 1_001).astype(dtype)
    result = compute(z)
    assert 0 < result[0] < np.finfo(dtype).tiny
    assert ulps(result, exact_values(lambda v: 1 / (1 + mpmath.exp(-v)), z)) <= MAX_ULP[dtype]


def test_sigmoid_stays_between_zero_and_one(dtype: Any) -> None:
    result = compute(stratified(dtype, 10_000))
    assert result.min() >= 0
    assert result.max() <= 1


def test_sigmoid_rises_on_a_grid(dtype: Any) -> None:
    z = np.arange(ZERO[dtype], 40, 1 / 64).astype(dtype)
    assert np.all(np.diff(compute(z)) >= 0)


def test_sigmoid_falls_by_at_most_one_ulp(dtype: Any) -> None:
    # Between neighbouring arguments, whose true results differ by less than rounding.
    steps = np.arange(-500, 500)
    grids = [np.linspace(ZERO[dtype], 40, 1_000_001).astype(dtype)]
    for n in range(-60, 60):
        # Where the reduction of the exponential's argument changes to the next integer.
        edge = dtype((n + 0.5) * np.log(2))
        grids.append(np.sort(edge + (steps * np.spacing(edge)).astype(dtype)))
    for z in grids:
        result = compute(z)
        assert np.all(np.diff(result) >= -np.spacing(result[:-1]))


def test_sigmoid_tails_are_symmetric(dtype: Any) -> None:
    z = stratified(dtype, 10_000)
    np.testing.assert_allclose(
        compute(z).astype(np.longdouble) + compute(-z), 1, rtol=0, atol=np.finfo(dtype).eps
    )


def test_exp_nonpositive_is_accurate(dtype: Any) -> None:
    x = -np.abs(stratified(dtype, 1_000))
    assert ulps(exp_nonpositive(x), exact_values(mpmath.exp, x)) <= MAX_EXP_ULP


def test_exp_nonpositive_of_special_values(dtype: Any) -> None:
    x = np.array([0.0, -0.0, -np.inf, -1e30, np.nan], dtype)
    assert_array_equal(exp_nonpositive(x), [1, 1, 0, 0, np.nan])


def test_log1p_unit_is_accurate(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    small = 10 ** rng.uniform(np.log10(np.finfo(dtype).tiny), 0, 2_000)
    e = np.concatenate([rng.uniform(0, 1, 4_000), small, [1.0]]).astype(dtype)
    assert ulps(log1p_unit(e), exact_values(mpmath.log1p, e)) <= MAX_LOG_ULP
    assert log1p_unit(np.zeros(1, dtype))[0] == 0


def test_log_from_one_is_accurate(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    above_one = 1 + 10 ** rng.uniform(np.log10(2 * eps), 0, 2_000)
    large = 10 ** rng.uniform(0, 30, 2_000)
    x = np.concatenate([rng.uniform(1 + eps, 2, 4_000), above_one, large]).astype(dtype)
    x = x[x > 1]
    assert ulps(log_from_one(x), exact_values(mpmath.log, x)) <= MAX_LOG_ULP
    assert log_from_one(np.ones(1, dtype))[0] == 0


def test_log_from_one_of_the_largest_floats(dtype: Any) -> None:
    x = np.finfo(dtype).max / np.array([8, 4, 2, 1], dtype)
    assert ulps(log_from_one(x), exact_values(mpmath.log, x)) <= MAX_LOG_ULP


def test_exp_is_accurate(dtype: Any) -> None:
    largest = np.log(np.finfo(dtype).max) * (1 - 1e-6)
    x = np.linspace(-largest, largest, 5_000).astype(dtype)
    assert ulps(exp(x), exact_values(mpmath.exp, x)) <= 4
    special_values = np.array([0.0, 1e4, np.inf, -np.inf, np.nan], dtype)
    assert_array_equal(exp(special_values), [1, np.inf, np.inf, 0, np.nan])


def test_log_is_accurate(dtype: Any) -> None:
    """Near 1, to an absolute epsilon: of a number below, the reciprocal is rounded."""
    x = (10 ** np.random.default_rng(0).uniform(-30, 30, 5_000)).astype(dtype)
    expected = np.array([float(mpmath.log(float(value))) for value in x])
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(log(x), expected, rtol=2 * eps, atol=eps)


@pytest.mark.parametrize(
    "name", ["sigmoid", "exp", "exp_nonpositive", "log", "log1p_unit", "log_from_one"]
)
def test_functions_keep_the_dtype(dtype: Any, name: str) -> None:
    function = scalar(getattr(sigmoid, name))
    wrapper = numba.njit(lambda x: function(x))
    wrapper(dtype(1))
    (overload,) = wrapper.overloads.values()
    assert overload.signature.return_type == numba.from_dtype(np.dtype(dtype))


@pytest.mark.parametrize("size", [0, 1, 2, 31, 1_000])
def test_sigmoid_forward_is_its_twin(dtype: Any, size: int) -> None:
    z = np.random.default_rng(size).normal(0, 5, size).astype(dtype)
    expected = z.copy()
    reference.sigmoid_forward(expected, 1)
    first = compute(z)
    assert_close(first, expected, dtype)
    for form, n_threads in forms(kernels.sigmoid_forward):
        result = z.copy()
        form(result, n_threads)
        assert_array_equal(result, first)


@pytest.mark.parametrize("size", [0, 1, 2, 31, 1_000])
def test_sigmoid_backward_is_its_twin(dtype: Any, size: int) -> None:
    rng = np.random.default_rng(size)
    a = rng.uniform(0, 1, size).astype(dtype)
    delta = rng.normal(0, 5, size).astype(dtype)
    expected = delta.copy()
    reference.sigmoid_backward(a, expected, 1)
    first = delta.copy()
    kernels.sigmoid_backward.serial(a, first, 1)
    assert_close(first, expected, dtype)
    for form, n_threads in forms(kernels.sigmoid_backward):
        result = delta.copy()
        form(a, result, n_threads)
        assert_array_equal(result, first)


def load_derivation() -> ModuleType:
    """Import ``docs/polynomials.py``, which is in no package."""
    path = Path(__file__).parents[2] / "docs" / "polynomials.py"
    spec = importlib.util.spec_from_file_location("polynomials", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# mpmath 1.4 wants chebyfit's order of coefficients spelled out, which 1.3 cannot.
@pytest.mark.filterwarnings("ignore:Descending:DeprecationWarning")
def test_constants_are_the_derived_ones(dtype: Any) -> None:
    dps = mpmath.mp.dps
    try:
        derivation = load_derivation()
        derived = derivation.derive(dtype)
        ln2 = derivation.split_ln2(dtype, {np.float32: 15, np.float64: 42}[dtype])
    finally:
        mpmath.mp.dps = dps
    column = DTYPES.index(dtype)
    assert sigmoid.EXP[column] == derived["EXP"][0]
    assert sigmoid.ATANH[column] == derived["ATANH"][0]
    assert (sigmoid.LN2_HIGH[column], sigmoid.LN2_LOW[column]) == ln2
    # So that rounding decides, the polynomial's own error is below half a unit roundoff.
    for _, error in derived.values():
        assert error < np.finfo(dtype).eps / 4


@pytest.mark.exhaustive
def test_sigmoid_of_every_float32(dtype: Any) -> None:
    if dtype is not np.float32:
        pytest.skip("2**64 values are too many")
    chunk = 2**22
    for start in range(0, 2**32, chunk):
        z = np.arange(start, start + chunk, dtype=np.uint64).astype(np.uint32).view(np.float32)
        result = compute(z)
        numbers = ~np.isnan(z)
        assert_array_equal(np.isnan(result), ~numbers)
        if not numbers.any():
            continue
        exact = special.expit(z[numbers].astype(np.float64))
        unit = np.spacing(exact.astype(np.float32)).astype(np.float64)
        assert np.max(np.abs(result[numbers] - exact) / unit) <= MAX_ULP[dtype]
