"""How the time of an epoch grows with width, depth, batch size and threads.

``python -m benchmarks.growth [--plot docs/growth.png]``

Each point stands beside its roofline: the larger of the operations by the speed of a
large matrix product and the bytes by the bandwidth of memory, both taken in turns with it.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt

from . import fastnet_entry
from .checks import check_epoch
from .interleave import interleave
from .machine import GEMM_FLOPS, N_THREADS, make_gemm
from .workloads import DTYPES, Workload, make_problem

_N_FEATURES = 32
# Rows for about so many operations an epoch.
_FLOPS = 4e9
_MOST_ROWS = 100_000
_BANDWIDTH_BYTES = 256 << 20


class Point(NamedTuple):
    """One place of a curve."""

    x: int
    workload: Workload
    n_threads: int


class Timing(NamedTuple):
    """Seconds per sample of an epoch: measured, and at least."""

    measured: float
    roofline: float


def _workload(hidden: tuple[int, ...], batch_size: int) -> Workload:
    """Return a workload of as many rows as are worth measuring, whole mini-batches."""
    sizes = (_N_FEATURES, *hidden, 1)
    per_row = Workload(sizes, batch_size, 1).flops
    n_rows = min(_MOST_ROWS, int(_FLOPS / per_row))
    return Workload(sizes, batch_size, max(1, round(n_rows / batch_size)) * batch_size)


CURVES: dict[str, list[Point]] = {
    "units in each of 2 hidden layers (batch 200)": [
        Point(width, _workload((width, width), 200), N_THREADS)
        for width in (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
    ],
    "hidden layers of 64 units (batch 200)": [
        Point(depth, _workload((64,) * depth, 200), N_THREADS) for depth in range(1, 9)
    ],
    "rows in a mini-batch (64 units)": [
        Point(batch, _workload((64,), batch), N_THREADS)
        for batch in (1, 3, 10, 32, 100, 316, 1_000, 3_162, 10_000, 31_623, 100_000)
    ],
    "threads (2 layers of 256 units, batch 200)": [
        Point(n_threads, _workload((256, 256), 200), n_threads)
        for n_threads in range(1, N_THREADS + 1)
    ],
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all curves, print them, and draw them if asked to."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--plot", type=Path, help="picture to write")
    parser.add_argument("--shortened", action="store_true", help="few points of few rows, once")
    options = parser.parse_args(arguments)
    measured = _shortened() if options.shortened else CURVES
    n_rounds = 1 if options.shortened else 7
    curves: dict[str, dict[str, list[Timing]]] = {}
    for name, points in measured.items():
        print(f"\n{name}: ns a sample (roofline)")
        curves[name] = {dtype: [] for dtype in DTYPES}
        for point in points:
            timings = {dtype: _measure(point, dtype, n_rounds) for dtype in DTYPES}
            for dtype, timing in timings.items():
                curves[name][dtype].append(timing)
            columns = "".join(
                f"{dtype:>10}{t.measured * 1e9:11.1f} ({t.roofline * 1e9:.1f})"
                for dtype, t in timings.items()
            )
            print(f"{point.x:8}{columns}", flush=True)
    if options.plot is not None:
        _draw(measured, curves, options.plot)


def _shortened() -> dict[str, list[Point]]:
    """Return the first points of every curve, of few rows: to see that all of it runs."""
    return {
        name: [point._replace(workload=point.workload.shortened()) for point in points[:2]]
        for name, points in CURVES.items()
    }


def _measure(point: Point, dtype: str, n_rounds: int) -> Timing:
    workload = point.workload
    check_epoch(fastnet_entry, make_problem(workload.shortened(), dtype), point.n_threads)
    problem = make_problem(workload, dtype)
    calls: dict[str, Callable[[], object]] = {
        "epoch": fastnet_entry.make_epoch(problem, point.n_threads, shuffle=True),
        "GEMM": make_gemm(dtype, point.n_threads),
        "memory": _make_read(point.n_threads),
    }
    times = {name: min(taken) for name, taken in interleave(calls, None, n_rounds).items()}
    compute = workload.flops * times["GEMM"] / GEMM_FLOPS
    memory = _n_bytes(workload, dtype) * times["memory"] / _BANDWIDTH_BYTES
    return Timing(times["epoch"] / workload.n_rows, max(compute, memory) / workload.n_rows)


def _n_bytes(workload: Workload, dtype: str) -> int:
    """Return what an epoch must read and write.

    Rows and targets, and the order: to write it, to shuffle it and to gather by it.
    Parameters are taken to stay in the caches.
    """
    row = workload.sizes[0] * np.dtype(dtype).itemsize + workload.sizes[-1] + 3 * 8
    return workload.n_rows * row


def _make_read(n_threads: int) -> Callable[[], object]:
    """Prepare a sum over an array far beyond the caches, shared among threads."""
    parts = np.array_split(np.ones(_BANDWIDTH_BYTES // 8), n_threads)
    pool = ThreadPoolExecutor(n_threads)
    return lambda: list(pool.map(np.sum, parts))


def _draw(
    measured: dict[str, list[Point]], curves: dict[str, dict[str, list[Timing]]], path: Path
) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for axis, (name, by_dtype) in zip(axes.flat, curves.items(), strict=True):
        x = [point.x for point in measured[name]]
        for color, (dtype, timings) in zip(("C0", "C1"), by_dtype.items(), strict=True):
            axis.plot(x, [t.measured * 1e9 for t in timings], "o-", color=color, label=dtype)
            axis.plot(
                x,
                [t.roofline * 1e9 for t in timings],
                "--",
                color=color,
                label=f"{dtype}, roofline",
            )
        is_counted = max(x) <= len(x)
        axis.set(xlabel=name, ylabel="ns a sample", yscale="log")
        if is_counted:
            axis.set_xticks(x)
        else:
            axis.set_xscale("log")
        axis.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
