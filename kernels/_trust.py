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
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ._folder import Folder

_HAS_OWNERS = hasattr(os, "geteuid")

# Files that are being written, or were when a process was killed, have names of this beginning.
_UNFINISHED = ".unfinished-"


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


class TrustedFolder(Folder):
    """A folder that is trusted, while it is open (see `open_folder`)."""

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to read it, if it is trusted."""
        with _links_explained(self.path / name):
            file = self.open_file(name, "rb")
        with file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{name} is no file")
            _check(self.path / name, status)
            yield file

    def write(self, name: str, content: bytes) -> None:
        """Write a file that only we may write to; any reader sees it whole."""
        with self.replacing(name, _UNFINISHED, 0o644) as file:
            file.write(content)


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[TrustedFolder]:
    """Open a folder.

    Raises
    ------
    NotTrustedError
        If others may write to it.
    OSError
        If it is not there, or is no folder.
    """
    if not _HAS_OWNERS:
        yield TrustedFolder(path)
        return
    with _links_explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check(path, os.fstat(descriptor))
        yield TrustedFolder(path, descriptor)
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
