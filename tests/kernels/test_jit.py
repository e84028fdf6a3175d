"""The cache of compiled kernels: fast when it can be, right whatever its files hold.

Who may write to it is in `test_cache_trust`, and what else can go wrong in
`test_cache_faults`.
"""

import compileall
import hashlib
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from .._support.throwaway import (
    CALL_FIRST,
    HELPER,
    Package,
    call_first,
    cannot_be_written_to,
    hits,
    importable,
)

pytestmark = pytest.mark.processes

CALL_FILL = """
import numpy as np
from subject_package.subject import fill
x, y = np.ones(3), np.ones(3)
fill.serial(x, 3)
fill.parallel(y, 3)
hits = [sum(form.stats.cache_hits.values()) for form in fill]
print(*x, *y, *hits)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    return importable(tmp_path, monkeypatch)


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


def test_kernel_from_elsewhere_is_not_cached(package: Package) -> None:
    def twice(x: Any) -> Any:
        return 2.0 * x[0]

    package.load()
    forms = sys.modules["subject_package._jit"].kernel(twice)
    assert forms.serial(np.ones(1)) == 2.0
    assert package.files() == []


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
    checksum = hashlib.sha256(file.name.encode() + b"\0" + code).digest()
    file.write_bytes(checksum + code)


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
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", int(not numba.config.BOUNDSCHECK))
    assert call_first(package) == (2.0, 0)
    assert len(package.files()) == 3


def test_cache_folder_under_a_file_is_silence(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstacle = package.folder / "obstacle"
    obstacle.touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(obstacle / "cache"))
    assert call_first(package)[0] == 2.0


def test_no_place_for_a_cache_is_silence(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot_be_written_to(monkeypatch)
    assert call_first(package) == (2.0, 0)
    assert package.files() == []


def test_a_package_without_sources_is_cached(package: Package) -> None:
    """As in an application made by PyInstaller, which has the bytecode alone."""
    compileall.compile_dir(package.sources, quiet=1, legacy=True)
    for source in package.sources.glob("*.py"):
        source.unlink()
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]
    before = package.files()
    assert package.run(CALL_FIRST) == ["2.0", "1", "0"]
    # What the code depends on is in the name of its file, as with sources.
    (package.sources / "helper.pyc").unlink()
    package.write_helper(HELPER.replace("2.0", "3.0"))
    assert package.run(CALL_FIRST) == ["3.0", "0", "1"]
    assert len(package.files()) == len(before) + 1


def test_a_frozen_application_has_one_place_wherever_it_is_started(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its modules have relative paths, after which numba would name the place."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert call_first(package) == (2.0, 0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call_first(package) == (2.0, 1)
    assert package.file().parents[1].name.startswith(Path(sys.executable).parent.name)


@pytest.mark.parametrize("name", ["app.pyz", "app.zip", "app"])
def test_an_archive_is_cached_whatever_its_name(package: Package, name: str) -> None:
    """numba keeps code of archives that end in .zip, and beside a user's other code."""
    with zipfile.ZipFile(package.folder / name, "w") as archive:
        for source in package.sources.glob("*.py"):
            archive.write(source, f"subject_package/{source.name}")
    shutil.rmtree(package.sources)
    places = {"PYTHONPATH": name, "XDG_CACHE_HOME": str(package.cache), "NUMBA_CACHE_DIR": None}
    assert package.run(CALL_FIRST, **places) == ["2.0", "0", "1"]
    assert package.run(CALL_FIRST, **places) == ["2.0", "1", "0"]
    assert len(package.files()) == 1


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
