"""The cache of compiled kernels: fast when it can be, right whatever happens to it.

The subject is a copy of ``kernels/_jit.py`` in a throw-away package, so that tests may
edit sources and damage files.
"""

import hashlib
import importlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

from fastnet import kernels

HELPER = """
from ._jit import device

@device
def scaled(x):
    return 2.0 * x
"""

SUBJECT = """
from numba import prange

from ._jit import kernel, serial_kernel
from .helper import scaled

@serial_kernel
def first(x):
    return scaled(x[0])

@kernel
def fill(x, n_threads):
    for t in prange(n_threads):
        x[t] = scaled(x[t])
"""

# Prints the result, the hits and the misses of one call.
CALL_FIRST = """
import numpy as np
from subject_package.subject import first
result = first(np.ones(1))
stats = first.stats
print(result, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""

CALL_FILL = """
import numpy as np
from subject_package.subject import fill
x, y = np.ones(3), np.ones(3)
fill.serial(x, 3)
fill.parallel(y, 3)
hits = [sum(form.stats.cache_hits.values()) for form in fill]
print(*x, *y, *hits)
"""


class Package:
    """A package in a folder of its own, with its cache beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = folder / "subject_package"
        self.cache = folder / "cache"
        self.sources.mkdir()
        shutil.copy(kernels._jit.__file__, self.sources / "_jit.py")
        (self.sources / "__init__.py").touch()
        (self.sources / "subject.py").write_text(SUBJECT)
        self.write_helper(HELPER)

    def write_helper(self, source: str) -> None:
        """Replace the file with the function that the kernels call."""
        (self.sources / "helper.py").write_text(source)

    def load(self) -> Any:
        """Import the kernels' module as a new process would."""
        for name in [name for name in sys.modules if name.split(".")[0] == "subject_package"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module("subject_package.subject")

    def run(self, code: str) -> list[str]:
        """Return the words that a new process prints."""
        environment = os.environ | {"NUMBA_CACHE_DIR": str(self.cache)}
        process = subprocess.run(
            [sys.executable, "-B", "-W", "error", "-c", code],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        assert process.stderr == ""
        return process.stdout.split()

    def files(self) -> list[Path]:
        """Return all files in the cache."""
        return sorted(path for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(str(tmp_path))
    # A helper edited within a second would be taken from its stale bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    result = Package(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(result.cache))
    return result


def hits(dispatcher: Any) -> int:
    """Return how many signatures came from the cache."""
    return sum(dispatcher.stats.cache_hits.values())


def call_first(package: Package) -> tuple[float, int]:
    """Import the package anew and call a kernel; return its result and its cache hits."""
    kernel = package.load().first
    return kernel(np.ones(1)), hits(kernel)


def raise_os_error(*args: Any, **kwargs: Any) -> None:
    """Fail as a read-only or full file system does."""
    raise OSError("no space, no permission")


def test_second_process_loads_from_the_cache(package: Package) -> None:
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    (file,) = package.files()
    before = file.stat().st_mtime_ns
    assert package.run(CALL_FIRST) == ["2.0", "1", "0"]
    assert package.files() == [file]
    assert file.stat().st_mtime_ns == before


def test_both_forms_of_a_kernel_are_cached_apart(package: Package) -> None:
    assert package.run(CALL_FILL) == ["2.0"] * 6 + ["0", "0"]
    assert len(package.files()) == 2
    assert package.run(CALL_FILL) == ["2.0"] * 6 + ["1", "1"]
    assert len(package.files()) == 2


def test_edited_callee_in_another_file_is_compiled_again(package: Package) -> None:
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    package.write_helper(HELPER.replace("2.0", "3.0"))
    assert package.run(CALL_FIRST) == ["3.0", "0", "1"]
    package.write_helper(HELPER)
    assert package.run(CALL_FIRST) == ["2.0", "1", "0"]


def test_sources_edited_between_import_and_call_do_not_poison_the_cache(
    package: Package,
) -> None:
    old = package.load()
    package.write_helper(HELPER.replace("2.0", "3.0"))
    assert old.first(np.ones(1)) == 2.0
    assert package.run(CALL_FIRST)[0] == "3.0"


def truncate(file: Path) -> None:
    """Cut a file in half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path, place: int) -> None:
    """Change one byte."""
    content = bytearray(file.read_bytes())
    content[place] ^= 0xFF
    file.write_bytes(content)


def replace_payload(file: Path) -> None:
    """Put something in it that is not a kernel, with a checksum that fits."""
    code = pickle.dumps("not a kernel")
    file.write_bytes(hashlib.sha256(code).digest() + code)


def replace_by_folder(file: Path) -> None:
    """Put a folder in its place."""
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "empty": lambda file: file.write_bytes(b""),
    "flipped in the checksum": lambda file: flip(file, 0),
    "flipped at the start": lambda file: flip(file, 40),
    "flipped in the middle": lambda file: flip(file, file.stat().st_size // 2),
    "flipped at the end": lambda file: flip(file, -1),
    "not a kernel": replace_payload,
    "removed": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_file_is_a_miss_and_is_replaced(
    package: Package, damage: Callable[[Path], None]
) -> None:
    assert call_first(package) == (2.0, 0)
    (file,) = package.files()
    sound = file.stat().st_size
    damage(file)
    assert call_first(package) == (2.0, 0)
    assert package.files() == [file]
    assert file.stat().st_size == pytest.approx(sound, rel=0.05)
    assert call_first(package) == (2.0, 1)


def test_folder_in_place_of_the_file_is_no_error(package: Package) -> None:
    call_first(package)
    (file,) = package.files()
    replace_by_folder(file)
    assert call_first(package) == (2.0, 0)
    assert package.files() == []


def test_other_configuration_and_type_are_other_files(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = package.load().first
    assert kernel(np.ones(1)) == 2.0
    assert kernel(np.ones(1, np.float32)) == 2.0
    assert len(package.files()) == 2
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert call_first(package) == (2.0, 0)
    assert len(package.files()) == 3


@pytest.mark.parametrize("name", ["write_bytes", "replace"])
def test_unwritable_cache_is_silence(
    package: Package, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kernel = package.load().first
    with monkeypatch.context() as context:
        context.setattr(Path, name, raise_os_error)
        assert kernel(np.ones(1)) == 2.0
    assert package.files() == []


def test_unreadable_cache_is_a_miss(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    call_first(package)
    kernel = package.load().first
    monkeypatch.setattr(Path, "read_bytes", raise_os_error)
    assert kernel(np.ones(1)) == 2.0
    assert hits(kernel) == 0


def test_cache_folder_under_a_file_is_silence(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstacle = package.folder / "obstacle"
    obstacle.touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(obstacle / "cache"))
    assert call_first(package)[0] == 2.0


def test_no_place_for_a_cache_is_silence(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    assert call_first(package) == (2.0, 0)
    assert package.files() == []


def test_disabled_cache_neither_reads_nor_writes(package: Package) -> None:
    kernel = package.load().first
    kernel._cache.disable()
    kernel(np.ones(1))
    assert package.files() == []
    assert call_first(package) == (2.0, 0)
    kernel = package.load().first
    kernel._cache.disable()
    kernel(np.ones(1))
    assert hits(kernel) == 0
    kernel._cache.enable()
    kernel(np.ones(1, np.float32))
    assert len(package.files()) == 2


def test_flush_removes_the_kernels_files(package: Package) -> None:
    module = package.load()
    module.first(np.ones(1))
    module.fill.serial(np.ones(1), 1)
    module.first._cache.flush()
    (left,) = package.files()
    assert "fill" in left.name


def test_import_compiles_nothing_and_starts_no_thread(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "from numba.np.ufunc import parallel\n"
        "from fastnet import kernels\n"
        "forms = [*kernels.train_batches, *kernels.forward, kernels.train_rows]\n"
        "assert not any(form.overloads for form in forms)\n"
        "assert not parallel._is_initialized\n"
        "assert threading.active_count() == 1\n"
    )
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (0, "")
