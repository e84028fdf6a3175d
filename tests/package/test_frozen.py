"""An application made by PyInstaller: it runs, with the bits of this process, and keeps its code.

`make test-frozen` installs PyInstaller, which no other test needs, and runs this.
"""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .test_cache_fits import fit

pytestmark = pytest.mark.frozen


def installed_in(folder: Path) -> Path:
    """Return where fastnet is installed as users do: PyInstaller sees no editable install."""
    source, target = folder / "source", folder / "installed"
    root = Path(__file__).parents[2]
    shutil.copytree(root, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    command = ["pip", "install", "--quiet", "--no-deps", "--target", target, source]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=600)
    return target


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program that PyInstaller makes of one that fits."""
    folder = tmp_path_factory.mktemp("frozen")
    installed = installed_in(folder)
    program = f"{inspect.getsource(fit)}\nimport sys\nprint(*fit(*sys.argv[1:]))\n"
    (folder / "app.py").write_text(program)
    command = ["PyInstaller", "--noconfirm", "--onedir", "--log-level=ERROR", "app.py"]
    subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, check=True, timeout=1800,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )  # fmt: skip
    return folder / "dist" / "app" / "app"


def test_it_fits_with_the_same_bits_and_keeps_its_code(application: Path, tmp_path: Path) -> None:
    digest, _ = fit("f4")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for n_compiled in ("2", "0"):
        # Another current folder each time: the place of the code must not depend on it.
        (tmp_path / n_compiled).mkdir()
        done = subprocess.run(
            [application, "f4"], env=environment, cwd=tmp_path / n_compiled,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [digest, n_compiled]
