"""The cache of compiled kernels: what is written to it, and what is read."""

import contextlib
import hashlib
import importlib.util
import marshal
import pickle
import pkgutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba

from ._notices import tell
from ._numba import Cache, CompileResult, config, dumps, rtsys
from ._places import SUFFIX, folders, own_folder
from ._trust import NotTrustedError, open_folder

# numba's environment options that change the machine code.
_CONFIG = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")

_PACKAGE = sys.modules[str(__package__)]

_warned = False


def _digest_sources() -> bytes:
    """Return a digest of everything in this folder that a kernel may call."""
    digest = hashlib.sha256()
    for module in sorted(pkgutil.iter_modules(_PACKAGE.__path__), key=lambda m: m.name):
        name = f"{_PACKAGE.__name__}.{module.name}"
        loader: Any = importlib.util.find_spec(name).loader  # type: ignore[union-attr]
        source = loader.get_source(name)
        # A frozen application has the bytecode alone.
        content = marshal.dumps(loader.get_code(name)) if source is None else source.encode()
        digest.update(name.encode() + b"\0" + content)
    return digest.digest()


# Taken when the sources are: an upgrade under a running process must not have its old
# code saved as the new.
_SOURCES = _digest_sources()


class KernelCache(Cache):
    """An on-disk cache of one entry point that never fails its user.

    numba's own cache does not notice an edited callee in another file (numba #1833)
    or changed options (#6845, #10821), raises on a damaged file (#10434), and keeps an
    index that two processes can leave pointing at each other's code. Here the name of
    a file is a digest of all that its machine code depends on, so there is no index; a
    file that cannot be loaded is a miss; one that cannot be written is silence.
    """

    def __init__(self, function: Callable[..., Any], options: str) -> None:
        self._prefix = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}."
        self._options = options
        # What it depends on is in the name of a file if all of it is in this folder.
        self._enabled = function.__module__.rpartition(".")[0] == __package__

    @property
    def cache_path(self) -> str | None:
        folder = own_folder()
        return None if folder is None else str(folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        # What loaded code calls. numba's own cache fills its tables for the compiler as
        # well, which takes 0.15 s of a process that compiles nothing.
        rtsys.initialize(target_context)
        name = self._name(sig, target_context)
        refused = None
        for path in folders():
            try:
                return CompileResult._rebuild(target_context, *_read(path, name))
            except NotTrustedError as error:
                refused = refused or error
            except Exception:  # Unpickling a damaged file can raise nearly anything.
                continue
        if refused is not None:
            _warn(refused)
        tell(self._announcement(sig))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        path = own_folder()
        # Code with an address of this process in it would crash another.
        if path is None or not self._enabled or data.library.has_dynamic_globals:
            return
        with contextlib.suppress(Exception):
            _write(path, self._name(sig, data.target_context), data._reduce())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        path = own_folder()
        if path is None:
            return
        with contextlib.suppress(OSError), open_folder(path) as folder:
            for name in folder.files(self._prefix):
                folder.remove(name)

    def _announcement(self, sig: Any) -> str:
        """Return what is to be said where a kernel was not found."""
        _, kernel, _ = self._prefix.split(".")
        dtype = "float32" if "float32" in str(sig) else "float64"
        folder = own_folder()
        if folder is None:
            then = "in every process, because there is no folder to keep it in."
        else:
            then = f"once, if it can be kept in {folder}."
        return f"fastnet compiles {kernel} for {dtype}. That takes seconds, {then}"

    def _name(self, sig: Any, target_context: Any) -> str:
        """Return the name of the file that holds, or will hold, the code of a signature."""
        parts = (
            _SOURCES,
            self._options,
            sig,
            sys.version,
            numba.__version__,
            llvmlite.__version__,
            target_context.codegen().magic_tuple(),
            [(name, getattr(config, name)) for name in _CONFIG],
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        return f"{self._prefix}{key}{SUFFIX}"


def _read(path: Path, name: str) -> Any:
    """Return what was written under a name; raise if it cannot be had."""
    with open_folder(path) as folder, folder.open(name) as file:
        content = file.read()
    checksum, code = content[:32], content[32:]
    if _checksum(name, code) != checksum:
        raise ValueError(f"{name} is damaged, or was written under another name")
    return pickle.loads(code)


def _write(path: Path, name: str, payload: Any) -> None:
    """Write a file that others may read, in a folder that only we write to."""
    code = dumps(payload)
    path.mkdir(0o755, parents=True, exist_ok=True)
    with open_folder(path) as folder:
        folder.write(name, _checksum(name, code) + code)


def _checksum(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + code).digest()


def _warn(refused: NotTrustedError) -> None:
    """Say once in a process why code that is there is not used."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"compiled kernels in {refused.path} are not used, because {refused.reason}; they"
            " are compiled again in every process, which takes seconds. Let nobody but its owner"
            " write to it (chmod -R go-w), remove it, or set NUMBA_CACHE_DIR to another folder.",
            UserWarning,
            stacklevel=2,
        )
