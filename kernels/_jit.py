"""Every numba option, the same for all kernels.

- ``nogil``: other Python threads run while a kernel does.
- ``error_model="numpy"``: no branch for a division by zero; kernels never raise.
- no fast-math: results must not depend on what the compiler reorders. Where a multiply
  and an add are to be one operation, the source says `fma`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba

from ._cache import KernelCache
from ._compile import compile_apart
from ._numba import config
from ._pipeline import DeviceCompiler, KernelCompiler

if config.DISABLE_JIT:
    raise ImportError(
        "fastnet cannot run with NUMBA_DISABLE_JIT set: its kernels use vector instructions,"
        " which exist in compiled code only"
    )

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


# The caller of a kernel holds its arrays, so compiled code only borrows them. Counting
# references is an atomic operation for each array and call: a mini-batch of 3-2-1 at 32
# took 860 instead of 470 ns. And what is never called from Python needs no wrapper.
_BORROWING: dict[str, Any] = {**_OPTIONS, "_nrt": False, "no_cfunc_wrapper": True}
_INTERNAL: dict[str, Any] = {
    **_BORROWING, "no_cpython_wrapper": True, "pipeline_class": DeviceCompiler,
}  # fmt: skip


def device(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call; it is cached within its callers."""
    return numba.njit(**_INTERNAL)(function)


def inline(function: Callable[..., Any]) -> Any:
    """Compile a `device` function that is always inlined, so that loops vectorise."""
    return numba.njit(forceinline=True, **_INTERNAL)(function)


def paste(function: Callable[..., Any]) -> Any:
    """Put a function's source in its caller's place; for what a kernel calls once.

    Compiled by itself, it would be optimised again as a part of each of its callers: an
    entry point has up to four (numba wraps a parallel loop three times). Without it a
    first fit took 7.3 instead of 5.5 s.
    """
    return numba.njit(inline="always", **_INTERNAL)(function)


class Kernel(NamedTuple):
    """One source compiled twice: `prange` is a plain loop in `serial`.

    Both give the same bits. Neither is compiled before its first call, because compiling or
    loading a parallel function starts numba's threads. The estimators call the serial form
    alone, from several threads (`claims`).
    """

    serial: Any
    parallel: Any


def serial_kernel(function: Callable[..., Any]) -> Any:
    """Compile an entry point that has no parallel form."""
    return _entry(function, parallel=False)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compile an entry point, called from Python, as its serial and parallel form."""
    return Kernel(_entry(function, parallel=False), _entry(function, parallel=True))


def special_kernel(function: Callable[..., Any], purpose: str) -> Any:
    """Compile an entry point without a parallel form, one of several from one source.

    `purpose` says which one it is; it is in the name of its file in the cache.
    """
    function.__qualname__ = function.__name__
    return _entry(function, parallel=False, purpose=purpose)


def _entry(function: Callable[..., Any], *, parallel: bool, purpose: str = "") -> Any:
    options = {**_BORROWING, "parallel": parallel, "pipeline_class": KernelCompiler}
    dispatcher = numba.njit(**options)(function)
    dispatcher._cache = KernelCache(function, f"parallel={parallel}{purpose}")
    compile_apart(dispatcher, parallel=parallel)
    return dispatcher
