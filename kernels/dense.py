"""A dense layer on panels: forward, delta, gradient.

A layer is one matrix of ``rows`` x ``fan_out``, row-major: the weights, and where there
are biases, one more row that holds them. Its input panel has a last row of ones to
match, so that the bias is one more weight in every sum and needs no code of its own.
"""

from typing import Any

from numba import prange

from ._jit import device, kernel
from .intrinsics import lanes
from .simd import dot_tile, multiply_tile

_multiply_8 = multiply_tile(8)
_multiply_4 = multiply_tile(4)
_multiply_2 = multiply_tile(2)
_multiply_1 = multiply_tile(1)
_dot_4x4 = dot_tile(4, 4)
_dot_4x1 = dot_tile(4, 1)
_dot_1x4 = dot_tile(1, 4)
_dot_1x1 = dot_tile(1, 1)


@device
def multiply_panels(
    weight: Any, start: int, unit_stride: int, k_stride: int, n_units: int, k: int, n_panels: int,
    source: Any, source_start: int, source_stride: int,
    target: Any, target_start: int, target_stride: int,
) -> None:  # fmt: skip
    """Multiply some panels by a matrix, whichever way round its strides say.

    ``target[j, :] = sum over i < k of weight[start + j * unit_stride + i * k_stride]
    * source[i, :]`` for j < n_units. A few weights go through all the panels before the
    next, so that a matrix beyond the caches is read once for all.
    """
    width = lanes(target)
    j = 0
    while j < n_units:
        w = start + j * unit_stride
        left = n_units - j
        for p in range(n_panels):
            a = source_start + p * source_stride
            out = target_start + p * target_stride + j * width
            if left >= 8:
                _multiply_8(weight, w, unit_stride, k_stride, k, source, a, target, out)
            elif left >= 4:
                _multiply_4(weight, w, unit_stride, k_stride, k, source, a, target, out)
            elif left >= 2:
                _multiply_2(weight, w, unit_stride, k_stride, k, source, a, target, out)
            else:
                _multiply_1(weight, w, unit_stride, k_stride, k, source, a, target, out)
        j += 8 if left >= 8 else 4 if left >= 4 else 2 if left >= 2 else 1


@device
def gradient_rows(
    n_panels: int, a: Any, a_start: int, a_stride: int, delta: Any, d_start: int, d_stride: int,
    n_rows: int, fan_out: int, grad: Any, grad_start: int,
) -> None:  # fmt: skip
    """Add the products of inputs and deltas, over all samples, to rows of a gradient.

    ``grad[r, c] += sum over panels and lanes of a[r] * delta[c]`` for r < n_rows; the
    blocks of panel p start at ``a_start + p * a_stride`` and ``d_start + p * d_stride``.
    """
    width = lanes(a)
    c = 0
    while c < fan_out:
        columns = 4 if fan_out - c >= 4 else 1
        d0 = d_start + c * width
        r = 0
        while r < n_rows:
            rows = 4 if n_rows - r >= 4 else 1
            a0 = a_start + r * width
            out = grad_start + r * fan_out + c
            if rows == 4 and columns == 4:
                _dot_4x4(n_panels, a, a0, a_stride, delta, d0, d_stride, grad, out, fan_out)
            elif rows == 4:
                _dot_4x1(n_panels, a, a0, a_stride, delta, d0, d_stride, grad, out, fan_out)
            elif columns == 4:
                _dot_1x4(n_panels, a, a0, a_stride, delta, d0, d_stride, grad, out, fan_out)
            else:
                _dot_1x1(n_panels, a, a0, a_stride, delta, d0, d_stride, grad, out, fan_out)
            r += rows
        c += columns


@kernel
def dense_forward(a: Any, weight: Any, z: Any, n_threads: int) -> None:
    """Compute ``z[p] = weight.T @ a[p]`` for every panel p.

    Shapes (n_panels, rows, lanes), (rows, fan_out) and (n_panels, fan_out, lanes).
    """
    n_panels, rows, width = a.shape
    fan_out = weight.shape[1]
    for t in prange(n_threads):
        for p in range(n_panels * t // n_threads, n_panels * (t + 1) // n_threads):
            multiply_panels(
                weight, 0, 1, fan_out, fan_out, rows, 1,
                a, p * rows * width, 0, z, p * fan_out * width, 0,
            )  # fmt: skip


@kernel
def dense_backward(delta: Any, weight: Any, delta_in: Any, n_threads: int) -> None:
    """Compute ``delta_in[p] = weight[:fan_in] @ delta[p]`` for every panel p.

    Shapes (n_panels, fan_out, lanes), (rows, fan_out) and (n_panels, fan_in, lanes).
    """
    n_panels, fan_out, width = delta.shape
    fan_in = delta_in.shape[1]
    for t in prange(n_threads):
        for p in range(n_panels * t // n_threads, n_panels * (t + 1) // n_threads):
            multiply_panels(
                weight, 0, fan_out, 1, fan_in, fan_out, 1,
                delta, p * fan_out * width, 0, delta_in, p * fan_in * width, 0,
            )  # fmt: skip


@kernel
def dense_gradient(a: Any, delta: Any, grad: Any, n_threads: int) -> None:
    """Add to ``grad[r, c]`` the sum over panels and lanes of ``a[r] * delta[c]``.

    Shapes (n_panels, rows, lanes), (n_panels, fan_out, lanes) and (rows, fan_out).
    """
    n_panels, rows, width = a.shape
    fan_out = delta.shape[1]
    for t in prange(n_threads):
        first = rows * t // n_threads
        n_rows = rows * (t + 1) // n_threads - first
        gradient_rows(
            n_panels, a, first * width, rows * width, delta, 0, fan_out * width,
            n_rows, fan_out, grad, first * fan_out,
        )  # fmt: skip
