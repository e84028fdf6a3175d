"""What a measurement depends on besides the code: the machine, versions, environment."""

import contextlib
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numba
import numpy as np
import threadpoolctl

# Threads that every contender may use.
N_THREADS = min(2, joblib.cpu_count())

GEMM_SIZE = 2048
GEMM_FLOPS = 2 * GEMM_SIZE**3

_DISTRIBUTIONS = (
    "fastnet-mlp",
    "numba",
    "llvmlite",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "jax",
    "jaxlib",
    "onnxruntime",
)
# Environment variables that change how fast, or on what, numerical libraries run.
_PREFIXES = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_", "NUMBA_", "XLA_", "PJRT_")


def describe_machine() -> dict[str, Any]:
    """Return what to store beside every measurement."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpu_count": joblib.cpu_count(),
        "n_threads": N_THREADS,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: v for name in _DISTRIBUTIONS if (v := _version(name)) is not None},
        "environment": {k: v for k, v in os.environ.items() if k.startswith(_PREFIXES)},
        "threading_layer": _threading_layer(),
        "threadpools": threadpoolctl.threadpool_info(),
    }


def _processor() -> str:
    # `platform.processor` is often empty on Linux.
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _threading_layer() -> str | None:
    """Return what numba's threads run on, if they have started."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def make_gemm(dtype: str, n_threads: int) -> Callable[[], object]:
    """Prepare a product of `GEMM_SIZE`-cubes by numpy's BLAS: the peak to compare with."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((GEMM_SIZE, GEMM_SIZE)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)
    threadpoolctl.threadpool_limits(n_threads, user_api="blas")
    return lambda: np.matmul(a, b, out=out)
