"""What a bug report should say: versions, threads, processor, cache."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import numba

from fastnet import kernels
from fastnet.kernels._numba import cpu_target, numba_threads, openmp_vendor

from ._engine import dispatch
from ._version import __version__

_DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib", "tbb")


def show_versions() -> None:
    """Print what a bug report should say, as `sklearn.show_versions` does.

    Versions; the threading layer, the number of threads that kernels may keep busy and what
    limits it; the processor and the width of its vectors; where compiled kernels are cached,
    and in what state that is. It starts no threads and compiles nothing.

    Examples
    --------
    >>> import fastnet
    >>> fastnet.show_versions()
    <BLANKLINE>
    System:
    ...
    Threads:
    ...
    Cache of compiled kernels:
    ...
    """
    sections = {
        "System": _system(),
        "Python dependencies": {name: _version_of(name) for name in _DEPENDENCIES},
        "Threads": _threads(),
        "Kernels": _processor(),
        "Cache of compiled kernels": kernels.cache_state(),
    }
    for title, lines in sections.items():
        print(f"\n{title}:")
        width = max(map(len, lines))
        for name, value in lines.items():
            print(f"{name:>{width + 4}}: {value}")


def _system() -> dict[str, str]:
    return {
        "fastnet": __version__,
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
    }


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _threads() -> dict[str, str]:
    limits = dispatch.thread_limits()
    least = min(limits.values())
    sources = " and ".join(name for name, limit in limits.items() if limit == least)
    lines = {"layer": threading_layer(), "at most": f"{least}, set by {sources}"}
    return lines | {name: str(limit) for name, limit in limits.items()}


def threading_layer() -> str:
    """Return who runs numba's threads, or would, without starting any."""
    if not numba_threads._is_initialized:
        return f"not started; NUMBA_THREADING_LAYER={numba.config.THREADING_LAYER}"
    layer = str(numba.threading_layer())
    if layer == "omp":
        return f"omp ({openmp_vendor()})"
    return layer


def _processor() -> dict[str, str]:
    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    # Elsewhere two vectors of 256 bits, or four of 128, stand for one of 512: the same bits.
    enabled = features.split(",")
    bits = 512 if "+avx512f" in enabled else 256 if "+avx2" in enabled else 128
    return {"target": triple, "processor": name, "vectors": f"{bits} bits"}
