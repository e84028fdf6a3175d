"""Folders that compiled kernels are written to and read from."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ._numba import (
    CompileResultCacheImpl,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
    config,
)
from ._trust import NotTrustedError, open_folder, trusted_owners

# Of files of compiled code.
SUFFIX = ".nbc"


@functools.cache
def own_folder() -> Path | None:
    """Return the folder that code is written to: our own one where numba has its cache.

    It is None if there is no place that can be written to.
    """
    for place in (_numbas_place, _users_place):
        # numba raises RuntimeError if there is none, and ValueError if a folder is named like
        # an archive.
        with contextlib.suppress(Exception):
            return _folders_in(Path(place()))[0]
    return None


def _numbas_place() -> str:
    """Return where numba would keep code."""
    if _is_frozen():
        raise RuntimeError("it depends on the current folder, for there are no sources")
    return CompileResultCacheImpl(_any_kernel).locator.get_cache_path()


def _users_place() -> str:
    """Return where numba keeps a user's code.

    numba itself would keep none of an archive whose name does not end in .zip, nor of a package
    without sources.
    """
    if config.CACHE_LOCATOR_CLASSES:
        raise RuntimeError("the user has said that it is to be elsewhere")
    kind = UserProvidedCacheLocator if config.CACHE_DIR else UserWideCacheLocator
    locator = kind(_any_kernel, _file())
    locator.ensure_cache_path()
    return locator.get_cache_path()


def _any_kernel() -> None:
    """Stand for a kernel where numba is asked for its place, which all of this folder share."""


def _is_frozen() -> bool:
    """Return whether this is an application made by PyInstaller or the like."""
    return getattr(sys, "frozen", False)


def _file() -> str:
    """Return what numba names a folder after: this file, or the application that it is part of."""
    return sys.executable if _is_frozen() else inspect.getfile(_any_kernel)


@functools.cache
def folders() -> tuple[Path, ...]:
    """Return the folders that code is read from, the one that is written to first.

    Where we cannot write, root or an earlier process may have: in a container, the code
    is often compiled when the image is made, by another user.
    """
    own = own_folder()
    found = [] if own is None else _folders_in(own.parent)
    if not config.CACHE_LOCATOR_CLASSES:
        locators = [InTreeCacheLocator, UserWideCacheLocator]
        if config.CACHE_DIR:
            locators.insert(0, UserProvidedCacheLocator)
        for locator in locators:
            # A relative path has no meaning in a folder that is gone.
            with contextlib.suppress(OSError):
                found += _folders_in(Path(locator(_any_kernel, _file()).get_cache_path()))
    return tuple(dict.fromkeys(found))


def _folders_in(place: Path) -> list[Path]:
    """Return the folders that those whom we trust have of their own in numba's, ours first."""
    # Who has no home has numba's cache in a folder "~" of whatever folder is the current one.
    if place.parts[0] == "~":
        return []
    names = [f"fastnet-{owner}" for owner in trusted_owners()] or ["fastnet"]
    return [place.absolute() / name for name in names]


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
    for path in folders():
        try:
            with open_folder(path) as folder:
                sizes = [s.st_size for n, s in folder.files().items() if n.endswith(SUFFIX)]
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
