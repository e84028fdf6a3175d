"""Whose files are read.

What is read from the cache is unpickled, so it can do whatever its author likes. A file is
read only if it is a regular one, and it and its folder belong to us, to root or to the
owner of these sources (who both can run what they like in our name as it is) and neither
their group nor others may write to them. The folders above need no such care: who may
write to those can put another folder in the place of ours, but not one that belongs to us.
A folder is opened once, and its files within what was opened, so that what was looked at
is what is read even if it is renamed meanwhile.

Windows has no such owners: there, nothing is looked at.
"""

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_HAS_OWNERS = hasattr(os, "geteuid")

# Links are not followed, and what is no regular file is opened without waiting for its other end.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

_TEMPORARY = ".tmp"
_LEFT_BEHIND_SECONDS = 3600


class NotTrustedError(OSError):
    """A folder or a file was found that somebody else could have written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not trusted: {reason}")
        self.path = path
        self.reason = reason


def trusted_owners() -> list[int]:
    """Return whose files are read, ourselves first; none if files have no owners here."""
    if not _HAS_OWNERS:
        return []
    owners = [os.geteuid(), 0]
    # Sources in a zip archive have no owner.
    with contextlib.suppress(OSError):
        owners.append(Path(__file__).stat().st_uid)
    return list(dict.fromkeys(owners))


class Folder:
    """A folder that is trusted, while it is open (see `open_folder`)."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to read it, if it is trusted."""
        with self._opened(name, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{name} is no file")
            _check(self._path / name, status)
            yield file

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that any reader sees the old content or the new, never a part."""
        self._remove_leftovers()
        temporary = f"{name}.{uuid.uuid4().hex}{_TEMPORARY}"
        try:
            with self._opened(temporary, "xb") as file:
                file.write(content)
            at = self._descriptor
            os.replace(self._at(temporary), self._at(name), src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    def files(self) -> dict[str, os.stat_result]:
        """Return what is in the folder."""
        found = {}
        with os.scandir(self._path if self._descriptor is None else self._descriptor) as entries:
            for entry in entries:
                # Other processes may remove files at any time.
                with contextlib.suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def _remove_leftovers(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        oldest = time.time() - _LEFT_BEHIND_SECONDS
        with contextlib.suppress(OSError):
            for name, status in self.files().items():
                if name.endswith(_TEMPORARY) and status.st_mtime < oldest:
                    self.remove(name)

    def _at(self, name: str) -> str:
        """Return what names a file for functions that are given the open folder, if any."""
        return name if self._descriptor is not None else str(self._path / name)

    def _opened(self, name: str, mode: str) -> IO[Any]:
        def opener(file: str, flags: int) -> int:
            with _links_explained(self._path / name):
                return os.open(file, flags | _FLAGS, 0o644, dir_fd=self._descriptor)

        return open(self._at(name), mode, opener=opener)


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """Open a folder.

    Raises
    ------
    NotTrustedError
        If others may write to it.
    OSError
        If it is not there, or is no folder.
    """
    if not _HAS_OWNERS:
        yield Folder(path, None)
        return
    with _links_explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check(path, os.fstat(descriptor))
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, status: os.stat_result) -> None:
    """Raise unless only those could write it whom we trust."""
    if not _HAS_OWNERS:
        return
    if status.st_uid not in trusted_owners():
        raise NotTrustedError(path, f"it belongs to another user ({status.st_uid})")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise NotTrustedError(path, "its group or others may write to it")


@contextlib.contextmanager
def _links_explained(path: Path) -> Iterator[None]:
    """Tell a symbolic link, which is not followed, from other failures to open."""
    try:
        yield
    except OSError:
        if path.is_symlink():
            raise NotTrustedError(path, "it is a symbolic link") from None
        raise
