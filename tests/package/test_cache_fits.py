"""fastnet itself with its cache in unusual places: the same bits, or a clear word."""

import inspect
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import UserProvidedCacheLocator

import fastnet
from fastnet import __main__, _warmup, kernels
from fastnet.kernels import CacheFolder

pytestmark = pytest.mark.processes


def fit(*dtypes: str) -> tuple[str, int]:
    """Return a digest of the weights of two fits, and how many kernels had to be compiled."""
    import hashlib
    import warnings

    import numpy as np

    from fastnet import SigmoidMLPClassifier, kernels

    digest = hashlib.sha256()
    for dtype in dtypes:
        X = np.random.default_rng(0).normal(size=(50, 3)).astype(dtype)
        model = SigmoidMLPClassifier((4,), solver="sgd", batch_size=1, max_iter=3, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, X[:, 0] > 0)
        for array in model.coefs_ + model.intercepts_:
            digest.update(array.tobytes())
    entries = kernels.train_rows, kernels.shuffle
    return digest.hexdigest(), sum(sum(k.stats.cache_misses.values()) for k in entries)


def command(*dtypes: str) -> list[str]:
    """Return what runs `fit` in a new process, and says where fastnet is."""
    code = f"{inspect.getsource(fit)}\nimport fastnet\nprint(*fit{dtypes}, fastnet.__file__)"
    return [sys.executable, "-c", code]


def fit_elsewhere(folder: Path, environment: dict[str, str], *dtypes: str) -> list[str]:
    process = subprocess.run(
        command(*dtypes), env=environment, cwd=folder,
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The installed package as a zip archive."""
    path = tmp_path / "app.zip"
    with zipfile.ZipFile(path, "w") as file:
        for module, name in ((fastnet, "fastnet"), (kernels, "fastnet/kernels")):
            root = Path(str(module.__file__)).parent
            for source in root.rglob("*.py"):
                file.write(source, f"{name}/{source.relative_to(root).as_posix()}")
        file.writestr(
            f"fastnet_mlp-{fastnet.__version__}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: fastnet-mlp\nVersion: {fastnet.__version__}\n",
        )
    return path


def in_archive(archive: Path) -> dict[str, str]:
    """Return an environment in which fastnet comes from an archive, and nobody has a home."""
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    places = {
        "PYTHONPATH": str(archive),
        "NUMBA_CACHE_DIR": str(archive.parent),
        "NUMBA_CACHE_LOCATOR_CLASSES": "",
    }
    return os.environ | nowhere | places


def test_fit_in_a_zip_archive_with_a_cache(archive: Path) -> None:
    digest, _ = fit("f4")
    inside = archive / "fastnet" / "kernels" / "_cache.py"
    subfolder = UserProvidedCacheLocator.get_suitable_cache_subpath(str(inside))
    for source in kernels.cache_folders():
        if source.path is not None and source.n_files:
            target = archive.parent / subfolder / source.path.name
            target.mkdir(parents=True, exist_ok=True)
            for file in source.path.glob("[rs]*.nbc"):
                shutil.copy(file, target)
    found = fit_elsewhere(archive.parent, in_archive(archive), "f4")
    assert found == [digest, "0", str(archive / "fastnet" / "__init__.py")]


@pytest.mark.long
def test_fit_in_a_zip_archive_without_a_cache(archive: Path) -> None:
    digest, _ = fit("f4")
    found = fit_elsewhere(archive.parent, in_archive(archive), "f4")
    assert found == [digest, "2", str(archive / "fastnet" / "__init__.py")]
    assert list(archive.parent.rglob("*.nbc")) == []


@pytest.mark.long
def test_eight_processes_fit_at_once_with_an_empty_cache(tmp_path: Path) -> None:
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    processes = [
        subprocess.Popen(command(dtype), env=environment, stdout=subprocess.PIPE, text=True)
        for dtype in ("f4", "f8") * 4
    ]
    found = [process.communicate(timeout=1800)[0].split()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert found == [fit("f4")[0], fit("f8")[0]] * 4
    assert {path.suffix for path in tmp_path.rglob("*.*")} == {".nbc"}
    ninth = fit_elsewhere(tmp_path, environment, "f4", "f8")
    assert ninth[:2] == [fit("f4", "f8")[0], "0"]


def test_without_a_compiler_the_import_says_why(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import fastnet"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == 1
    assert "ImportError: fastnet cannot run with NUMBA_DISABLE_JIT" in process.stderr


NOWHERE = CacheFolder(None, "no folder")
KEPT = CacheFolder(Path("/here"), "trusted", 3, 2_500_000)
REPORTS: dict[str, tuple[tuple[CacheFolder, ...], int, str]] = {
    "kept": ((KEPT,), 0, "3 files, 2.5 MB in all, in /here\n"),
    "elsewhere": ((NOWHERE, KEPT), 0, "3 files, 2.5 MB in all, in /here\n"),
    "nowhere": ((NOWHERE,), 1, "nothing could be kept: no folder\n"),
    "refused": ((CacheFolder(Path("/here"), "bad"),), 1, "nothing could be kept: /here: bad\n"),
}


@pytest.mark.parametrize(("folders", "status", "words"), REPORTS.values(), ids=REPORTS)
def test_warm_up_says_where_code_is_kept(
    folders: Any, status: int, words: str, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(_warmup, "_work", lambda *args: [])
    monkeypatch.setattr(kernels, "cache_folders", lambda: folders)
    assert __main__.main(["warmup"]) == status
    assert capsys.readouterr().out.partition("in all\n")[2] == words
