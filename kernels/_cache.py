"""Where compiled kernels are cached, and what is read from there."""

import contextlib
import functools
import hashlib
import importlib.resources
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import numba
from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
    _Cache,
)
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from ._trust import NotTrustedError, open_folder, trusted_owners

_SUFFIX = ".nbc"

# numba's environment options that change the machine code.
_CONFIG = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")

_warned = False


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


@functools.cache
def own_folder() -> Path | None:
    """Return the folder that code is written to: our own one where numba has its cache.

    It is None if there is no place that can be written to.
    """
    # numba raises RuntimeError then, and ValueError if a folder is named like an archive.
    with contextlib.suppress(Exception):
        locator = CompileResultCacheImpl(_digest_sources).locator
        return _folders_in(Path(locator.get_cache_path()))[0]
    return None


@functools.cache
def _folders() -> tuple[Path, ...]:
    """Return the folders that code is read from, the one that is written to first.

    Where we cannot write, root or an earlier process may have: in a container, the code
    is often compiled when the image is made, by another user.
    """
    own = own_folder()
    found = [] if own is None else _folders_in(own.parent)
    if not config.CACHE_LOCATOR_CLASSES:
        file = inspect.getfile(_digest_sources)
        locators = [InTreeCacheLocator, UserWideCacheLocator]
        if config.CACHE_DIR:
            locators.insert(0, UserProvidedCacheLocator)
        for locator in locators:
            # A relative path has no meaning in a folder that is gone.
            with contextlib.suppress(OSError):
                found += _folders_in(Path(locator(_digest_sources, file).get_cache_path()))
    return tuple(dict.fromkeys(found))


def _folders_in(place: Path) -> list[Path]:
    """Return the folders that those whom we trust have of their own in numba's, ours first."""
    # Who has no home has numba's cache in a folder "~" of whatever folder is the current one.
    if place.parts[0] == "~":
        return []
    names = [f"fastnet-{owner}" for owner in trusted_owners()] or ["fastnet"]
    return [place.absolute() / name for name in names]


class KernelCache(_Cache):
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
        for path in _folders():
            try:
                return CompileResult._rebuild(target_context, *_read(path, name))
            except NotTrustedError as error:
                refused = refused or error
            except Exception:  # Unpickling a damaged file can raise nearly anything.
                continue
        if refused is not None:
            _warn(refused)
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
            for name in folder.files():
                if name.startswith(self._prefix):
                    folder.remove(name)

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
        return f"{self._prefix}{key}{_SUFFIX}"


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


class CacheFolder(NamedTuple):
    """A folder of compiled kernels.

    Attributes
    ----------
    path : Path or None
        None stands for the folder that new code would be written to if there were one.
    state : str
        "trusted", "trusted, only read", "not made yet", or what is wrong with it.
    n_files : int
        Files of compiled code in it, by this version or another; 0 if they are not read.
    n_bytes : int
        Their size.
    """

    path: Path | None
    state: str
    n_files: int = 0
    n_bytes: int = 0


def cache_folders() -> tuple[CacheFolder, ...]:
    """Return the folder that code is written to, and others that it is read from."""
    return tuple(_look_at_folders())


def cache_state() -> dict[str, str]:
    """Return what there is to say of each folder, by its path."""
    lines = {}
    for path, state, n_files, n_bytes in cache_folders():
        size = f", {n_files} files of {n_bytes / 1e6:.1f} MB" if n_files else ""
        lines["none" if path is None else str(path)] = state + size
    return lines


def _look_at_folders() -> Iterator[CacheFolder]:
    own = own_folder()
    if own is None:
        yield CacheFolder(None, "no folder for numba's cache can be written to")
    for path in _folders():
        try:
            with open_folder(path) as folder:
                sizes = [s.st_size for n, s in folder.files().items() if n.endswith(_SUFFIX)]
            state = "trusted" if path == own else "trusted, only read"
            yield CacheFolder(path, state, len(sizes), sum(sizes))
        except NotTrustedError as error:
            yield CacheFolder(path, f"not trusted: {error.reason}")
        except FileNotFoundError:
            if path == own:
                yield CacheFolder(path, "not made yet")
        except OSError as error:
            # Within a zip archive there are no folders.
            if path == own or not isinstance(error, NotADirectoryError):
                yield CacheFolder(path, f"cannot be read: {error.strerror}")
