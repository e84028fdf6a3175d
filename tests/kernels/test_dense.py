"""The products of a dense layer: every remainder of every tile, exactly and in floats."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import kernels

from .. import reference
from ..reference import DTYPES, Array, forms

pytestmark = pytest.mark.thorough

# Tiles are 8, 4, 2 and 1 units, or 4 and 1: up to 17, every remainder of two of each.
SIZES = range(1, 18)
MARGIN = 128
SENTINEL = 77

dtypes = pytest.mark.parametrize("dtype", DTYPES)
all_rows = pytest.mark.parametrize("rows", SIZES)

Draw = Callable[..., Array]


def integers(dtype: Any) -> Draw:
    """Return a source of small integers, whose products and sums are exact."""
    rng = np.random.default_rng(0)
    return lambda *shape: rng.integers(-4, 5, shape).astype(dtype)


def normals(dtype: Any) -> Draw:
    """Return a source of normal variates."""
    rng = np.random.default_rng(0)
    return lambda *shape: rng.normal(size=shape).astype(dtype)


def arguments(name: str, draw: Draw, n_panels: int, rows: int, fan_out: int) -> list[Array]:
    """Return arrays for a kernel; the last is its result, to be overwritten or added to."""
    result = draw(rows, fan_out)
    lanes = kernels.panel_lanes(result.dtype)
    if name == "dense_forward":
        a, weight = draw(n_panels, rows, lanes), draw(rows, fan_out)
        return [a, weight, np.full((n_panels, fan_out, lanes), np.nan, result.dtype)]
    if name == "dense_backward":
        delta, weight = draw(n_panels, fan_out, lanes), draw(rows + 1, fan_out)
        return [delta, weight, np.full((n_panels, rows, lanes), np.nan, result.dtype)]
    delta = draw(n_panels, kernels.delta_rows(fan_out, lanes), lanes)
    return [draw(n_panels, rows, lanes), delta, result]


def run(form: Any, sources: list[Array], n_threads: int) -> Array:
    """Return a kernel's result; assert that it writes there and nowhere else.

    But for the deltas, which `dense_gradient` transposes.
    """
    *inputs, initial = sources
    inputs = [source.copy() for source in inputs]
    copies = [source.copy() for source in inputs]
    buffer = np.full(initial.size + 2 * MARGIN, SENTINEL, initial.dtype)
    result = buffer[MARGIN:-MARGIN].reshape(initial.shape)
    result[...] = initial
    form(*inputs, result, n_threads)
    assert_array_equal(buffer[:MARGIN], SENTINEL)
    assert_array_equal(buffer[-MARGIN:], SENTINEL)
    is_gradient = form in kernels.dense_gradient
    for source, copy in zip(inputs[: 1 if is_gradient else 2], copies, strict=False):
        assert_array_equal(source, copy)
    return result


KERNELS = ["dense_forward", "dense_backward", "dense_gradient"]


@dtypes
@all_rows
@pytest.mark.parametrize("name", KERNELS)
def test_products_of_integers_are_exact(dtype: Any, rows: int, name: str) -> None:
    draw = integers(dtype)
    for fan_out in (*SIZES, 32, 33, 40, 49, 64):
        sources = arguments(name, draw, 3, rows, fan_out)
        expected = sources[-1].copy()
        getattr(reference, name)(*sources[:-1], expected, 1)
        for form, n_threads in forms(getattr(kernels, name)):
            assert_array_equal(run(form, sources, n_threads), expected)


@dtypes
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("n_panels", "rows", "fan_out"),
    [
        *((1, 13, 37), (4, 100, 9), (7, 33, 64), (20, 5, 6), (2, 9, 25)),
        # About as many steps as weights are fetched ahead, either way.
        *((1, 128, 17), (1, 129, 17), (2, 300, 16), (1, 17, 128), (1, 17, 129), (2, 16, 300)),
    ],
)
def test_products_of_floats_are_within_the_error_bound(
    dtype: Any, name: str, n_panels: int, rows: int, fan_out: int
) -> None:
    *inputs, initial = arguments(name, normals(dtype), n_panels, rows, fan_out)
    twin = getattr(reference, name)
    exact = initial.astype(float)
    twin(*inputs, exact, 1)
    size = np.abs(initial).astype(float)
    twin(*map(np.abs, inputs), size, 1)
    # A sum of n products, in whatever order, is off by at most about n roundings of the
    # sum of their sizes (Higham 2002, section 3.1).
    lanes = kernels.panel_lanes(dtype)
    terms = {"dense_forward": rows, "dense_backward": fan_out}.get(name, n_panels * lanes + 1)
    bound = terms * float(np.finfo(dtype).eps) * size
    first = run(getattr(kernels, name).serial, [*inputs, initial], 1)
    assert np.all(np.abs(first - exact) <= bound)
    for form, n_threads in forms(getattr(kernels, name)):
        assert_array_equal(run(form, [*inputs, initial], n_threads), first)


@dtypes
def test_bits_of_a_unit_do_not_depend_on_its_neighbours(dtype: Any) -> None:
    a, weight, z = arguments("dense_forward", normals(dtype), 2, 29, 15)
    together = run(kernels.dense_forward.serial, [a, weight, z], 1)
    for unit in range(15):
        alone = [a, weight[:, [unit]].copy(), z[:, [unit]].copy()]
        assert_array_equal(run(kernels.dense_forward.serial, alone, 1), together[:, [unit]])


@dtypes
@pytest.mark.parametrize("fan_out", [7, 16, 17, 45])
def test_bits_of_a_gradient_do_not_depend_on_its_neighbours(dtype: Any, fan_out: int) -> None:
    a, delta, grad = arguments("dense_gradient", normals(dtype), 3, 11, fan_out)
    together = run(kernels.dense_gradient.serial, [a, delta, grad], 1)
    for row in range(11):
        alone = [a[:, [row]].copy(), delta, grad[[row]].copy()]
        assert_array_equal(run(kernels.dense_gradient.serial, alone, 1), together[[row]])
    for column in range(fan_out):
        others = np.full_like(delta, np.nan)
        others[:, column] = delta[:, column]
        result = run(kernels.dense_gradient.serial, [a, others, grad], 1)
        assert_array_equal(result[:, column], together[:, column])


@dtypes
def test_no_panels_are_no_work(dtype: Any) -> None:
    a, delta, grad = arguments("dense_gradient", normals(dtype), 0, 5, 6)
    for form, n_threads in forms(kernels.dense_gradient):
        assert_array_equal(run(form, [a, delta, grad], n_threads), grad)
