"""A dense layer on panels: forward, delta, gradient.

A layer is one row-major matrix of ``rows`` x ``fan_out``: the weights, and where there
are biases, one more row that holds them. Its input panel has a last row of ones to
match, so that the bias is one more weight in every sum and needs no code of its own.

A gradient is worked out in blocks of `lanes` columns, by outer products of inputs and
transposed deltas. Half a block or less of remaining columns, which would leave most of
the vectors empty, is dot products over samples instead.
"""

from typing import Any

from numba import prange

from ._jit import device, inline, kernel
from .intrinsics import lanes
from .plan import transposed_blocks
from .simd import dot_tile, multiply_units, outer_products, transpose_block

_transposed_blocks = inline(transposed_blocks)
# Steps that all units take before the next, at most: so many rows of a panel, 16 KB, stay in the
# first-level cache for all of them.
_MOST_STEPS = 128
_multiply_columns = multiply_units(by_columns=True)
_multiply_rows = multiply_units(by_columns=False)
_dot_4x4 = dot_tile(4, 4)
_dot_4x1 = dot_tile(4, 1)
_dot_1x4 = dot_tile(1, 4)
_dot_1x1 = dot_tile(1, 1)


@inline
def block_of_steps(k: int) -> int:
    """Return how many steps of k all units take before the next: about the same in each turn."""
    n_blocks = (k + _MOST_STEPS - 1) // _MOST_STEPS
    return (k + n_blocks - 1) // n_blocks


@device
def multiply_columns(
    weight: Any, start: int, stride: int, n_units: int, k: int, begins: bool, n_panels: int,
    source: Any, source_start: int, source_stride: int,
    target: Any, target_start: int, target_stride: int,
) -> None:  # fmt: skip
    """Go k steps on with the sums of some units, or begin them.

    A function, because it has two callers: pasted into both, a first fit took 1 s more of 30.
    """
    _multiply_columns(
        weight, start, stride, n_units, k, begins, n_panels,
        source, source_start, source_stride, target, target_start, target_stride,
    )  # fmt: skip


@device
def forward_units(
    weight: Any, start: int, stride: int, n_units: int, k: int, n_panels: int,
    source: Any, source_start: int, source_stride: int,
    target: Any, target_start: int, target_stride: int,
) -> None:  # fmt: skip
    """Work out the sums of some units for some panels, from columns of a matrix.

    ``target[j, :] = sum over i < k of weight[start + i * stride + j] * source[i, :]``.
    """
    size = block_of_steps(k)
    for i in range(0, k, size):
        multiply_columns(
            weight, start + i * stride, stride, n_units, min(size, k - i), i == 0, n_panels,
            source, source_start + i * lanes(source), source_stride,
            target, target_start, target_stride,
        )  # fmt: skip


@device
def backward_units(
    weight: Any, start: int, stride: int, n_units: int, k: int, n_panels: int,
    source: Any, source_start: int, source_stride: int,
    target: Any, target_start: int, target_stride: int,
) -> None:  # fmt: skip
    """Work out the deltas of some units for some panels, from rows of a matrix.

    ``target[j, :] = sum over i < k of weight[start + j * stride + i] * source[i, :]``.
    """
    size = block_of_steps(k)
    for i in range(0, k, size):
        _multiply_rows(
            weight, start + i, stride, n_units, min(size, k - i), i == 0, n_panels,
            source, source_start + i * lanes(source), source_stride,
            target, target_start, target_stride,
        )  # fmt: skip


@inline
def transposed_columns(fan_out: int, width: int) -> int:
    """Return how many columns of deltas are transposed; the rest are not."""
    return min(fan_out, _transposed_blocks(fan_out, width) * width)


@device
def transpose_deltas(panels: Any, start: int, fan_out: int) -> None:
    """Turn one panel's deltas to samples as rows, in blocks, ready for `gradient_rows`."""
    width = lanes(panels)
    for block in range(_transposed_blocks(fan_out, width)):
        transpose_block(panels, start + block * width * width)


@device
def gradient_rows(
    n_samples: int, a: Any, a_start: int, a_stride: int, delta: Any, d_start: int, d_stride: int,
    n_rows: int, fan_out: int, begins: bool, grad: Any, grad_start: int, grad_stride: int,
) -> None:  # fmt: skip
    """Add the products of inputs and deltas, over all samples, to rows of a gradient.

    Or write them there, if the gradient begins with them.

    ``grad[r, c] += sum over samples, lanes of panels, of a[r] * delta[c]`` for r < n_rows; the
    blocks of panel p start at ``a_start + p * a_stride`` and ``d_start + p * d_stride``.
    """
    width = lanes(a)
    n_outer = transposed_columns(fan_out, width)
    for c in range(0, n_outer, width):
        outer_products(
            n_samples, a, a_start, a_stride, delta, d_start + c * width, d_stride,
            n_rows, n_outer - c, begins, grad, grad_start + c, grad_stride,
        )  # fmt: skip
    if n_outer < fan_out:
        n_panels = (n_samples + width - 1) // width
        _gradient_columns(
            n_panels, a, a_start, a_stride, delta, d_start + n_outer * width, d_stride,
            n_rows, fan_out - n_outer, begins, grad, grad_start + n_outer, grad_stride,
        )  # fmt: skip


@device
def _gradient_columns(
    n_panels: int, a: Any, a_start: int, a_stride: int, delta: Any, d_start: int, d_stride: int,
    n_rows: int, n_columns: int, begins: bool, grad: Any, grad_start: int, grad_stride: int,
) -> None:  # fmt: skip
    """Do what `gradient_rows` does for a few columns, whose deltas are not transposed."""
    width = lanes(a)
    c = 0
    while c < n_columns:
        columns = 4 if n_columns - c >= 4 else 1
        d0 = d_start + c * width
        r = 0
        while r < n_rows:
            rows = 4 if n_rows - r >= 4 else 1
            a0 = a_start + r * width
            out = grad_start + r * grad_stride + c
            if rows == 4 and columns == 4:
                _dot_4x4(
                    n_panels, a, a0, a_stride, delta, d0, d_stride, begins, grad, out, grad_stride
                )
            elif rows == 4:
                _dot_4x1(
                    n_panels, a, a0, a_stride, delta, d0, d_stride, begins, grad, out, grad_stride
                )
            elif columns == 4:
                _dot_1x4(
                    n_panels, a, a0, a_stride, delta, d0, d_stride, begins, grad, out, grad_stride
                )
            else:
                _dot_1x1(
                    n_panels, a, a0, a_stride, delta, d0, d_stride, begins, grad, out, grad_stride
                )
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
            forward_units(
                weight, 0, fan_out, fan_out, rows, 1,
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
            backward_units(
                weight, 0, fan_out, fan_in, fan_out, 1,
                delta, p * fan_out * width, 0, delta_in, p * fan_in * width, 0,
            )  # fmt: skip


@kernel
def dense_gradient(a: Any, delta: Any, grad: Any, n_threads: int) -> None:
    """Add to ``grad[r, c]`` the sum over panels and lanes of ``a[r] * delta[c]``.

    Shapes (n_panels, rows, lanes), (n_panels, delta_rows(fan_out, lanes), lanes) and
    (rows, fan_out). The deltas are overwritten.
    """
    n_panels, rows, width = a.shape
    fan_out = grad.shape[1]
    size = delta.shape[1] * width
    for t in prange(n_threads):
        for p in range(n_panels * t // n_threads, n_panels * (t + 1) // n_threads):
            transpose_deltas(delta, p * size, fan_out)
    for t in prange(n_threads):
        first = rows * t // n_threads
        n_rows = rows * (t + 1) // n_threads - first
        gradient_rows(
            n_panels * width, a, first * width, rows * width, delta, 0, size,
            n_rows, fan_out, False, grad, first * fan_out, fan_out,
        )  # fmt: skip
