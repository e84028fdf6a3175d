"""Every numba option, and where compiled kernels are cached.

Options, the same for all kernels:

- ``nogil``: other Python threads run while a kernel does.
- ``error_model="numpy"``: no branch for a division by zero; kernels never raise.
- no fast-math: results must not depend on what the compiler reorders. Where a multiply
  and an add are to be one operation, the source says `fma`.
"""

import contextlib
import hashlib
import importlib.resources
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import numba
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# numba's environment options that change the machine code.
_CONFIG = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")


# The caller of a kernel holds its arrays, so compiled code only borrows them. Counting
# references is an atomic operation for each array and call: a mini-batch of 3-2-1 at 32
# took 860 instead of 470 ns. And what is never called from Python needs no wrapper.
_BORROWING: dict[str, Any] = {**_OPTIONS, "_nrt": False, "no_cfunc_wrapper": True}
_INTERNAL: dict[str, Any] = {**_BORROWING, "no_cpython_wrapper": True}


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

    Both give the same bits. Neither is compiled before its first call, because
    compiling or loading a parallel function starts numba's threads.
    """

    serial: Any
    parallel: Any

    def has_parallel(self, *args: Any) -> bool:
        """Return whether the parallel form is compiled for such arguments, or cached."""
        types = tuple(map(self.parallel.typeof_pyval, args))
        cache = self.parallel._cache
        return types in self.parallel.overloads or (
            isinstance(cache, _KernelCache) and cache.path(types, self.parallel.targetctx).exists()
        )

    @property
    def cache_folder(self) -> Path | None:
        """Where compiled code is kept; None if no folder can be written to."""
        cache = self.serial._cache
        return Path(cache.cache_path) if isinstance(cache, _KernelCache) else None


def serial_kernel(function: Callable[..., Any]) -> Any:
    """Compile an entry point that has no parallel form."""
    return _entry(function, parallel=False)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compile an entry point, called from Python, as its serial and parallel form."""
    return Kernel(_entry(function, parallel=False), _entry(function, parallel=True))


def _entry(function: Callable[..., Any], *, parallel: bool) -> Any:
    dispatcher = numba.njit(parallel=parallel, **_BORROWING)(function)
    # numba raises where no cache folder can be written; we go without.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _KernelCache(function, f"parallel={parallel}")
    return dispatcher


def _digest_sources() -> bytes:
    """Return a digest of everything in this folder that a kernel may call."""
    digest = hashlib.sha256()
    files = importlib.resources.files(__package__).iterdir()
    for file in sorted(files, key=lambda f: f.name):
        if file.name.endswith(".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.digest()


# Taken when the sources are: an upgrade under a running process must not have its old
# code saved as the new.
_SOURCES = _digest_sources()


class _KernelCache(_Cache):
    """An on-disk cache of one entry point that never fails its user.

    numba's own cache does not notice an edited callee in another file (numba #1833)
    or changed options (#6845, #10821), raises on a damaged file (#10434), and keeps an
    index that two processes can leave pointing at each other's code. Here the name of
    a file is a digest of all that its machine code depends on, so there is no index; a
    file that cannot be loaded is a miss; one that cannot be written is silence.
    """

    def __init__(self, function: Callable[..., Any], options: str) -> None:
        self._impl = CompileResultCacheImpl(function)
        self._options = options
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(self._impl.locator.get_cache_path())

    def path(self, sig: Any, target_context: Any) -> Path:
        """Return the file that holds, or will hold, the code of a signature."""
        parts = (
            _SOURCES,
            self._options,
            sig,
            numba.__version__,
            llvmlite.__version__,
            target_context.codegen().magic_tuple(),
            [(name, getattr(config, name)) for name in _CONFIG],
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        return Path(self.cache_path) / f"{self._impl.filename_base}.{key}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        # What loaded code calls. numba's own cache fills its tables for the compiler as
        # well, which takes 0.15 s of a process that compiles nothing.
        rtsys.initialize(target_context)
        # Unpickling a damaged file can raise nearly anything.
        with contextlib.suppress(Exception):
            payload = self.path(sig, target_context).read_bytes()
            checksum, data = payload[:32], payload[32:]
            if hashlib.sha256(data).digest() == checksum:
                return self._impl.rebuild(target_context, pickle.loads(data))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not (self._enabled and self._impl.check_cachable(data)):
            return
        code = dumps(self._impl.reduce(data))
        with contextlib.suppress(OSError):
            path = self.path(sig, data.target_context)
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, hashlib.sha256(code).digest() + code)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            for path in Path(self.cache_path).glob(f"{self._impl.filename_base}.*.nbc"):
                path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that any reader sees the old content or the new, never a part."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
