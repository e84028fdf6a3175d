"""The cache of compiled kernels where there is no place, no space or no permission for it.

Whatever happens, a kernel runs; and what is in the cache is right.
"""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl, UserWideCacheLocator, ZipCacheLocator
from numba.core.compiler import CompileResult

from .._support.throwaway import CALL_FIRST, Package, call_first, importable

pytestmark = pytest.mark.processes

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

# What goes before code that is to run without root's rights. It loads what the compiler
# needs, for the other user may not be allowed to read the interpreter's own folder.
BECOME_NOBODY = """
import concurrent.futures, importlib.util, logging, os, pkgutil
import numba
numba.njit(lambda x: x + 1.0)(1.0)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""
AS_NOBODY = (BECOME_NOBODY if IS_ROOT else "") + CALL_FIRST
NO_HOME = {"HOME": "/nonexistent", "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    return importable(tmp_path, monkeypatch)


@pytest.fixture
def visible() -> Iterator[Package]:
    """A package that every user may read, unlike pytest's folders."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        package = Package(folder)
        yield package
        for path in (package.sources, *package.sources.rglob("*"), *folder.rglob("*")):
            path.chmod(0o755)


def raise_os_error(*args: Any, **kwargs: Any) -> None:
    """Fail as a read-only or full file system does."""
    raise OSError("no space, no permission")


def raise_memory_error(*args: Any, **kwargs: Any) -> None:
    raise MemoryError


STAGES = {
    "open": (os, "open"),
    "stat": (os, "fstat"),
    "list": (os, "scandir"),
    "mkdir": (os, "mkdir"),
    "replace": (os, "replace"),
    "unpickle": (pickle, "loads"),
    "rebuild": (CompileResult, "_rebuild"),
    "reduce": (CompileResult, "_reduce"),
}


@pytest.mark.parametrize("fault", [raise_os_error, raise_memory_error])
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_fault_at_any_stage_fails_no_call(
    package: Package, monkeypatch: pytest.MonkeyPatch, stage: tuple[Any, str], fault: Any
) -> None:
    cold = package.load().first
    with monkeypatch.context() as context:
        context.setattr(*stage, fault)
        assert cold(np.ones(1)) == 2.0
    assert not [path for path in package.files() if path.suffix != ".nbc"]
    call_first(package)
    warm = package.load().first
    with monkeypatch.context() as context:
        context.setattr(*stage, fault)
        assert warm(np.ones(1)) == 2.0
    assert call_first(package) == (2.0, 1)


# numba takes this folder for a zip archive, and raises ValueError.
def test_folder_named_like_an_archive_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [ZipCacheLocator])
    (folder := tmp_path / "data.zipped").mkdir()
    assert call_first(importable(folder, monkeypatch)) == (2.0, 0)


# numba would keep its cache in a folder of that name, wherever the process happens to be.
def test_folder_named_tilde_is_no_home(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package.folder)
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [UserWideCacheLocator])
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert call_first(package) == (2.0, 0)
    assert (package.folder / "~").exists()
    assert list(package.folder.rglob("*.nbc")) == []


def test_folder_that_is_gone_is_no_error(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package.folder)
    monkeypatch.setattr("numba.config.CACHE_DIR", "relative")
    monkeypatch.setattr(os, "getcwd", raise_os_error)
    assert call_first(package) == (2.0, 0)


def test_full_disk_leaves_nothing_behind(package: Package) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    assert package.run(limit + CALL_FIRST) == ["2.0", "0", "1"]
    assert package.files() == []
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    assert package.run(limit + CALL_FIRST) == ["2.0", "1", "0"]


def test_read_only_cache_is_read_and_not_written(visible: Package) -> None:
    single = AS_NOBODY.replace("ones(1)", "ones(1, np.float32)")
    assert visible.run(CALL_FIRST) == ["2.0", "0", "1"]
    visible.file().parent.chmod(0o555)
    visible.file().parent.parent.chmod(0o555)
    before = visible.files()
    assert visible.run(single, HOME="/nonexistent", XDG_CACHE_HOME=None) == ["2.0", "0", "1"]
    assert visible.run(AS_NOBODY, HOME="/nonexistent", XDG_CACHE_HOME=None) == ["2.0", "1", "0"]
    assert visible.files() == before


@pytest.mark.parametrize("home", ["/nonexistent", "/dev/null", None])
def test_neither_home_nor_any_place_for_a_cache(visible: Package, home: str | None) -> None:
    visible.sources.chmod(0o555)
    visible.folder.chmod(0o555)
    assert visible.run(AS_NOBODY, **NO_HOME | {"HOME": home}) == ["2.0", "0", "1"]
    assert visible.files() == []


# As when an image is made by root, and its containers run as a user without a home.
def test_code_beside_the_sources_is_found_by_another_user(visible: Package) -> None:
    assert visible.run(CALL_FIRST, NUMBA_CACHE_DIR=None) == ["2.0", "0", "1"]
    (file,) = (visible.sources / "__pycache__").rglob("*.nbc")
    visible.sources.chmod(0o555)
    (visible.sources / "__pycache__").chmod(0o555)
    assert visible.run(AS_NOBODY, **NO_HOME) == ["2.0", "1", "0"]
    # It may have a folder for its own code.
    writable = visible.folder / "theirs"
    writable.mkdir()
    writable.chmod(0o777)
    elsewhere = {"NUMBA_CACHE_DIR": str(writable)}
    assert visible.run(AS_NOBODY, **NO_HOME | elsewhere) == ["2.0", "1", "0"]
    alone = elsewhere | {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    assert visible.run(AS_NOBODY, **NO_HOME | alone) == ["2.0", "0", "1"]
    file.chmod(0o666)
    # Warnings are errors in these processes.
    with pytest.raises(AssertionError, match="its group or others may write to it"):
        visible.run(AS_NOBODY, **NO_HOME)


def zipped(package: Package) -> str:
    """Turn a package into an archive, and return code that makes it importable."""
    archive = shutil.make_archive(str(package.folder / "app"), "zip", package.folder)
    shutil.rmtree(package.sources)
    return f"import sys; sys.path.insert(0, {archive!r})\n"


def test_zip_archive_with_a_home_and_without(package: Package) -> None:
    code = zipped(package) + CALL_FIRST
    homeless = {"HOME": "/dev/null", "XDG_CACHE_HOME": None}
    assert package.run(code, **homeless) == ["2.0", "0", "1"]
    home = {"HOME": str(package.cache), "XDG_CACHE_HOME": None}
    assert package.run(code, **home) == ["2.0", "0", "1"]
    assert package.run(code, **home) == ["2.0", "1", "0"]
    assert package.file().suffix == ".nbc"


# Eight children that start to compile when the parent lets them.
RACE = """
import os
import numba
import numpy as np
numba.njit(lambda x: x + 1.0)(1.0)
read, write = os.pipe()
children = []
for _ in range(8):
    if (child := os.fork()) == 0:
        os.close(write)
        os.read(read, 1)
        from subject_package.subject import fill, first
        for dtype in (np.float32, np.float64):
            x = np.full(3, 1.5, dtype)
            fill.serial(x, 3)
            assert first(x) == 6.0 and (x == 3.0).all()
        os._exit(0)
    children.append(child)
os.close(write)
print(*(os.waitpid(child, 0)[1] for child in children))
"""
ONE_MORE = """
import numpy as np
from subject_package.subject import fill, first
for dtype in (np.float32, np.float64):
    fill.serial(np.ones(3, dtype), 3)
    first(np.ones(3, dtype))
print(*(sum(form.stats.cache_hits.values()) for form in (first, fill.serial)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_eight_processes_fill_an_empty_cache_at_once(package: Package) -> None:
    assert package.run(RACE) == ["0"] * 8
    assert [path.suffix for path in package.files()] == [".nbc"] * 4
    assert package.run(ONE_MORE) == ["2", "2"]


KILLED = """
import os
os.replace = lambda *args, **kwargs: os.kill(os.getpid(), 9)
"""


def test_leftovers_of_killed_processes_are_removed_in_time(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.run(
        [sys.executable, "-B", "-c", KILLED + CALL_FIRST],
        cwd=package.folder, env=os.environ | {"NUMBA_CACHE_DIR": str(package.cache)},
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL
    leftover = package.file()
    assert leftover.suffix == ".tmp"
    assert call_first(package) == (2.0, 0)
    assert leftover.exists()
    an_hour_ago = time.time() - 3601
    os.utime(leftover, (an_hour_ago, an_hour_ago))
    fill = package.load().fill.serial
    with monkeypatch.context() as context:
        context.setattr(os, "unlink", raise_os_error)
        fill(np.ones(1), 1)
    assert [path.suffix for path in package.files()].count(".nbc") == 2
    assert leftover.exists()
    fill(np.ones(1, np.float32), 1)
    assert [path.suffix for path in package.files()] == [".nbc"] * 3
