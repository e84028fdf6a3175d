"""A folder, and files in it that are replaced in one step.

`fastnet.save` uses it too. It is here because kernels import nothing of fastnet; an edit makes
kernels that were kept stale, like one of any module beside it.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

# What is no regular file is opened without waiting for its other end; links are not followed.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

# What a killed process has left behind is removed when it is older than this, in seconds.
_STALE = 3600


class Folder:
    """A folder by its path, or by its descriptor while it is open.

    By a descriptor it is still the same folder if it is renamed meanwhile.
    """

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path = path
        self._descriptor = descriptor

    def open_file(self, name: str, mode: str, permissions: int = 0o666) -> IO[Any]:
        """Open a file; one that is made has these permissions, less those of the umask."""

        def opener(file: str, flags: int) -> int:
            return os.open(file, flags | _FLAGS, permissions, dir_fd=self._descriptor)

        return open(self._at(name), mode, opener=opener)

    @contextlib.contextmanager
    def replacing(self, name: str, prefix: str, permissions: int = 0o666) -> Iterator[IO[bytes]]:
        """Open a new file that takes the place of one if the block ends well.

        Readers see the old content or the new, never a part. Until then the file's name
        begins with `prefix`; other files whose names do so are removed when they are an hour
        old. To have it on the disk before it takes the place is up to the block (`os.fsync`).
        """
        temporary = f"{prefix}{secrets.token_hex(8)}.tmp"
        try:
            with self.open_file(temporary, "xb", permissions) as file:
                self._remove_stale(prefix, os.fstat(file.fileno()).st_mtime)
                yield file
            # Windows renames and removes no file that is open.
            at = self._descriptor
            os.replace(self._at(temporary), self._at(name), src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    def files(self, prefix: str = "") -> dict[str, os.stat_result]:
        """Return what is in the folder and has a name with this beginning."""
        found = {}
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as entries:
            for entry in entries:
                if not entry.name.startswith(prefix):
                    continue
                # Other processes may remove files at any time.
                with contextlib.suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def _remove_stale(self, prefix: str, now: float) -> None:
        """Remove what killed processes have left; `now` is by the clock of the folder."""
        with contextlib.suppress(OSError):
            for name, status in self.files(prefix).items():
                if status.st_mtime < now - _STALE:
                    # Another process may be about to remove it, or own it.
                    with contextlib.suppress(OSError):
                        self.remove(name)

    def _at(self, name: str) -> str:
        """Return what names a file for functions that are given the open folder, if any."""
        return name if self._descriptor is not None else str(self.path / name)
