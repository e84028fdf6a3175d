"""The kernels, each alone, beside the numpy of `benchmarks.numpy_baseline`."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from scipy.special import expit

from fastnet import kernels
from fastnet._engine import dispatch

from . import numpy_baseline
from .checks import assert_close
from .conftest import Race
from .machine import N_THREADS
from .workloads import DTYPES, FloatArray

# Values of one sample's layer, of a mini-batch's, of a wide one's.
SIZES = (64, 200 * 64, 512 * 1024)
# Samples, fan_in, fan_out: layers of the networks in `benchmarks.workloads`.
LAYERS = ((32, 3, 2), (200, 28, 64), (200, 64, 1), (128, 784, 128), (512, 1024, 1024))

# Where a * (1 - a) is -1: a kernel that scales in place by it can be repeated without end,
# and the values neither vanish into subnormals nor overflow.
UNIT_SLOPE = (1 + 5**0.5) / 2

# Multiply-adds of an element, about.
SIGMOID_WORK = 16

CACHE_LINE = 64

pytestmark = pytest.mark.benchmark(max_time=0.3)


@pytest.fixture(autouse=True)
def _threads() -> None:
    numba.set_num_threads(N_THREADS)


def _aligned(values: FloatArray) -> FloatArray:
    """Copy an array to where a cache line starts, as fastnet's workspaces do."""
    raw = np.empty(values.nbytes + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    copy = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def _to_panels(rows: FloatArray) -> FloatArray:
    """Transpose rows, panel by panel; the last one is filled up with zeros."""
    width = kernels.panel_lanes(rows.dtype)
    n_panels = -(-len(rows) // width)
    padded = np.zeros((n_panels * width, rows.shape[1]), rows.dtype)
    padded[: len(rows)] = rows
    return _aligned(padded.reshape(n_panels, width, -1).transpose(0, 2, 1))


def _to_rows(panels: FloatArray, n_rows: int) -> FloatArray:
    return panels.transpose(0, 2, 1).reshape(-1, panels.shape[1])[:n_rows]


def _normal(shape: Any, dtype: str, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    return _aligned(rng.standard_normal(shape).astype(dtype))


def _with_ones(rows: FloatArray) -> FloatArray:
    """Append the column that multiplies the biases."""
    return np.hstack([rows, np.ones((len(rows), 1), rows.dtype)])


def _bind(kernel: kernels.Kernel, work: int, *arrays: FloatArray) -> Callable[[], Any]:
    """Bind the form of a kernel that fastnet chooses for so many multiply-adds."""
    n_threads = dispatch.n_workers_for(work, N_THREADS)
    form = kernel.serial if n_threads == 1 else kernel.parallel
    return lambda: form(*arrays, n_threads)


@pytest.mark.parametrize("contender", ["fastnet", "numpy", "scikit-learn"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_sigmoid_forward(race: Race, size: int, dtype: str, contender: str) -> None:
    """A vector through the sigmoid, in place."""
    z = _normal(size, dtype, seed=0)
    a = z.copy()
    calls: dict[str, Callable[[], Any]] = {
        "fastnet": _bind(kernels.sigmoid_forward, size * SIGMOID_WORK, a),
        "numpy": lambda: numpy_baseline.sigmoid(a),
        # What its MLPClassifier calls.
        "scikit-learn": lambda: expit(a, out=a),
    }
    calls[contender]()
    assert_close(a, expit(z), dtype)
    race(f"sigmoid forward: {size:,}, {dtype}", contender, calls)


@pytest.mark.parametrize("contender", ["fastnet", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_sigmoid_backward(race: Race, size: int, dtype: str, contender: str) -> None:
    """A vector of deltas times the sigmoid's derivative, in place."""
    a = expit(_normal(size, dtype, seed=0))
    delta = _normal(size, dtype, seed=1)
    expected = delta * a * (1 - a)

    def by_numpy() -> None:
        np.multiply(delta, a, out=delta)
        np.multiply(delta, 1 - a, out=delta)

    calls = {"fastnet": _bind(kernels.sigmoid_backward, size, a, delta), "numpy": by_numpy}
    calls[contender]()
    assert_close(delta, expected, dtype)
    a[:] = UNIT_SLOPE
    race(f"sigmoid backward: {size:,}, {dtype}", contender, calls)


@pytest.mark.parametrize("contender", ["fastnet", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_dense_forward(race: Race, layer: tuple[int, int, int], dtype: str, contender: str) -> None:
    """Inputs times weights, plus biases."""
    n_samples, fan_in, fan_out = layer
    a = _normal((n_samples, fan_in), dtype, seed=0)
    weight = _normal((fan_in + 1, fan_out), dtype, seed=1)
    z = np.empty((n_samples, fan_out), a.dtype)
    panels = _to_panels(_with_ones(a))
    z_panels = _to_panels(z)

    def by_numpy() -> None:
        np.matmul(a, weight[:-1], out=z)
        np.add(z, weight[-1], out=z)

    work = n_samples * weight.size
    calls = {
        "fastnet": _bind(kernels.dense_forward, work, panels, weight, z_panels),
        "numpy": by_numpy,
    }
    for call in (calls[contender], calls["numpy"]):
        call()
    if contender != "numpy":
        assert_close(_to_rows(z_panels, n_samples), z, dtype)
    race(f"dense forward: {n_samples} x {fan_in} -> {fan_out}, {dtype}", contender, calls)


@pytest.mark.parametrize("contender", ["fastnet", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_dense_backward(
    race: Race, layer: tuple[int, int, int], dtype: str, contender: str
) -> None:
    """The deltas of the layer below, and the gradient of weights and biases."""
    n_samples, fan_in, fan_out = layer
    a = _normal((n_samples, fan_in), dtype, seed=0)
    weight = _normal((fan_in + 1, fan_out), dtype, seed=1)
    delta = _normal((n_samples, fan_out), dtype, seed=2)
    delta_in = np.empty_like(a)
    grad = np.zeros_like(weight)

    def by_numpy() -> None:
        np.matmul(delta, weight[:-1].T, out=delta_in)
        np.matmul(a.T, delta, out=grad[:-1])
        np.sum(delta, axis=0, out=grad[-1])

    delta_panels = _to_panels(delta)
    delta_in_panels = _to_panels(delta_in)
    grad_by_kernel = np.zeros_like(weight)
    work = n_samples * weight.size
    to_delta = _bind(kernels.dense_backward, work, delta_panels, weight, delta_in_panels)
    to_grad = _bind(
        kernels.dense_gradient, work, _to_panels(_with_ones(a)), delta_panels, grad_by_kernel
    )
    calls: dict[str, Callable[[], Any]] = {
        "fastnet": lambda: (to_delta(), to_grad()),
        "numpy": by_numpy,
    }
    for call in (calls[contender], calls["numpy"]):
        call()
    if contender != "numpy":
        assert_close(_to_rows(delta_in_panels, n_samples), delta_in, dtype)
        assert_close(grad_by_kernel, grad, dtype)
    race(f"dense backward: {n_samples} x {fan_in} -> {fan_out}, {dtype}", contender, calls)
