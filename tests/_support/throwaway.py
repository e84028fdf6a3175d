"""A throw-away package of two kernels, so that tests may edit sources and damage files.

Its cache is a copy of fastnet's; to compile one of its kernels takes 0.3 s.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


class Package:
    """A package in a folder of its own, with its cache beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = folder / "subject_package"
        self.cache = folder / "cache"
        self.sources.mkdir()
        parts = "jit cache compile folder notices numba pipeline places processor trust"
        for name in parts.split():
            shutil.copy(Path(kernels.__file__).with_name(f"_{name}.py"), self.sources)
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

    def run(self, code: str, **environment: str | None) -> list[str]:
        """Return the words that a new process prints; None unsets a variable."""
        places = {"NUMBA_CACHE_DIR": str(self.cache), "NUMBA_CACHE_LOCATOR_CLASSES": None}
        variables = os.environ | places | environment
        process = subprocess.run(
            [sys.executable, "-B", "-W", "error", "-c", code],
            cwd=self.folder,
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert process.stderr == ""
        return process.stdout.split()

    def files(self) -> list[Path]:
        """Return all files in the cache."""
        return sorted(path for path in self.cache.rglob("*") if not path.is_dir())

    def file(self) -> Path:
        """Return the only file in the cache."""
        (file,) = self.files()
        return file


def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Make a package that this process can import."""
    monkeypatch.syspath_prepend(str(folder))
    # A helper edited within a second would be taken from its stale bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    result = Package(folder)
    monkeypatch.setattr("numba.config.CACHE_DIR", str(result.cache))
    monkeypatch.setattr("numba.config.CACHE_LOCATOR_CLASSES", "")
    return result


def cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let numba find that nowhere can anything be kept."""

    def ensure_cache_path(locator: Any) -> None:
        raise PermissionError

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", ensure_cache_path)


def hits(dispatcher: Any) -> int:
    """Return how many signatures came from the cache."""
    return sum(dispatcher.stats.cache_hits.values())


def call_first(package: Package) -> tuple[float, int]:
    """Import the package anew and call a kernel; return its result and its cache hits."""
    kernel = package.load().first
    return kernel(np.ones(1)), hits(kernel)
