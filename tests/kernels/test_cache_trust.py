"""Whose files the cache reads: to read one is to run it.

Run as root, the tests give files to another user; else, the file system says that they
are another's.
"""

import hashlib
import os
import pickle
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnet.kernels import _trust

from .._support.throwaway import (
    CALL_FIRST,
    Package,
    call_first,
    cannot_be_written_to,
    hits,
    importable,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners and groups here"),
    pytest.mark.processes,
]

SOMEBODY = 12345
NOT_USED = "compiled kernels in .* are not used, because "


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    return importable(tmp_path, monkeypatch)


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def own_folder(package: Package) -> Path:
    """Return the folder of our own that the cache made in numba's."""
    return package.file().parent


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("umask", "of_folder", "of_file"),
    [(0o000, 0o755, 0o644), (0o002, 0o755, 0o644), (0o022, 0o755, 0o644), (0o077, 0o700, 0o600)],
    indirect=["umask"],
)
def test_only_we_may_write_whatever_the_umask(
    package: Package, umask: int, of_folder: int, of_file: int
) -> None:
    assert call_first(package) == (2.0, 0)
    assert permissions(package.file()) == of_file
    assert permissions(own_folder(package)) == of_folder
    assert call_first(package) == (2.0, 1)


def open_to_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(path.stat().st_mode | stat.S_IWGRP)


def open_to_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(path.stat().st_mode | stat.S_IWOTH)


def replace_by_link(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file somebody else's, or have it reported as such."""
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, -1)
        return
    inode, fstat = path.stat().st_ino, os.fstat

    def reported(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if status.st_ino != inode:
            return status
        return os.stat_result((*status[:4], SOMEBODY, *status[5:10]))

    monkeypatch.setattr(os, "fstat", reported)


REFUSED: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], str]] = {
    "group may write": (open_to_group, "its group or others may write to it"),
    "others may write": (open_to_others, "its group or others may write to it"),
    "somebody else's": (give_away, f"it belongs to another user .{SOMEBODY}."),
    "symbolic link": (replace_by_link, "it is a symbolic link"),
}
refused = pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED)


@refused
def test_folder_that_is_not_trusted_is_neither_read_nor_written(
    package: Package, monkeypatch: pytest.MonkeyPatch, change: Any, why: str
) -> None:
    call_first(package)
    folder = own_folder(package)
    change(folder, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.warns(UserWarning, match=NOT_USED + why) as caught:
        assert call_first(package) == (2.0, 0)
    assert str(folder) in str(caught[0].message)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@refused
def test_file_that_is_not_trusted_is_not_read_but_replaced(
    package: Package, monkeypatch: pytest.MonkeyPatch, change: Any, why: str
) -> None:
    call_first(package)
    file = package.file()
    change(file, monkeypatch)
    with pytest.warns(UserWarning, match=NOT_USED + why) as caught:
        assert call_first(package) == (2.0, 0)
    assert str(file) in str(caught[0].message)
    assert not file.is_symlink()
    assert permissions(file) & 0o022 == 0
    assert call_first(package) == (2.0, 1)


def test_refused_folder_is_used_again_once_it_is_repaired(package: Package) -> None:
    call_first(package)
    own_folder(package).chmod(0o777)
    with pytest.warns(UserWarning, match=NOT_USED):
        call_first(package)
    own_folder(package).chmod(0o755)
    assert call_first(package) == (2.0, 1)


def test_one_warning_a_process_even_if_warnings_are_errors(package: Package) -> None:
    call_first(package)
    own_folder(package).chmod(0o777)
    module = package.load()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=NOT_USED):
            module.first(np.ones(1))
        assert module.first(np.ones(1)) == 2.0
        module.fill.serial(x := np.ones(1), 1)
    assert x == 2.0


def test_code_of_the_sources_owner_is_read(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_first(package)
    if os.geteuid() == 0:
        for path in (package.sources / "_trust.py", own_folder(package), package.file()):
            os.chown(path, SOMEBODY, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert call_first(package) == (2.0, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root is root")
def test_code_of_root_is_read(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    call_first(package)
    os.chown(package.sources / "_trust.py", SOMEBODY, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert call_first(package) == (2.0, 1)


def test_link_above_our_folder_is_followed(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_first(package)
    replace_by_link(package.cache, monkeypatch)
    assert call_first(package) == (2.0, 1)


class Malice:
    """What runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("place", ["trusted", "folder", "file"])
def test_malice_is_not_run_where_others_may_write(package: Package, place: str) -> None:
    call_first(package)
    file, marker = package.file(), package.folder / "marker"
    code = pickle.dumps(Malice(marker))
    file.write_bytes(hashlib.sha256(file.name.encode() + b"\0" + code).digest() + code)
    if place == "trusted":
        # It would run, or the other cases would show nothing.
        assert call_first(package) == (2.0, 0)
        assert marker.exists()
        return
    (file if place == "file" else file.parent).chmod(0o777)
    with pytest.warns(UserWarning, match=NOT_USED):
        assert call_first(package) == (2.0, 0)
    assert not marker.exists()


def test_file_under_the_name_of_another_is_a_miss(package: Package) -> None:
    kernel = package.load().first
    kernel(np.ones(1))
    double = package.file()
    kernel(np.ones(1, np.float32))
    (single,) = set(package.files()) - {double}
    single.write_bytes(double.read_bytes())
    kernel = package.load().first
    assert kernel(np.full(1, 3.0, np.float32)) == 6.0
    assert hits(kernel) == 0


def test_folder_exchanged_after_it_was_looked_at_is_not_read(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(mode=0o755)
        (folder / "file").write_bytes(folder.name.encode())
        (folder / "file").chmod(0o644)
    with _trust.open_folder(ours) as opened:
        ours.rename(tmp_path / "away")
        theirs.rename(ours)
        with opened.open("file") as file:
            assert file.read() == b"ours"
        opened.write("file", b"new")
    assert (ours / "file").read_bytes() == b"theirs"
    assert (tmp_path / "away" / "file").read_bytes() == b"new"


def test_pipe_in_place_of_the_file_is_not_waited_for(package: Package) -> None:
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    file = package.file()
    file.unlink()
    os.mkfifo(file, 0o644)
    with (
        _trust.open_folder(file.parent) as folder,
        pytest.raises(OSError, match="is no file"),
        folder.open(file.name),
    ):
        pass
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    assert file.is_file()


def test_nothing_is_looked_at_where_files_have_no_owners(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    assert call_first(package) == (2.0, 0)
    assert own_folder(package).name == "fastnet"
    own_folder(package).chmod(0o777)
    assert call_first(package) == (2.0, 1)
    package.load().first._cache.flush()
    assert package.files() == []


def states(package: Package) -> dict[str | None, str]:
    """Return what is said of each folder, by what it is called."""
    package.load()
    folders = sys.modules["subject_package._places"].cache_folders()
    return {folder.path and folder.path.parent.name: folder.state for folder in folders}


def test_state_of_the_cache_is_told(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(states(package).values()) == ["not made yet"]
    call_first(package)
    size = package.file().stat().st_size
    cache = sys.modules["subject_package._places"]
    assert cache.cache_folders() == ((own_folder(package), "trusted", 1, size),)
    words = f"trusted, 1 files of {size / 1e6:.1f} MB"
    assert cache.cache_state() == {str(own_folder(package)): words}
    own_folder(package).chmod(0o777)
    (state,) = states(package).values()
    assert state == "not trusted: its group or others may write to it"
    beside = package.sources / "__pycache__" / own_folder(package).name
    beside.mkdir(parents=True, mode=0o755)
    assert states(package)["__pycache__"] == "trusted, only read"
    cannot_be_written_to(monkeypatch)
    assert states(package)[None] == "no folder for numba's cache can be written to"
    assert "none" in sys.modules["subject_package._places"].cache_state()
