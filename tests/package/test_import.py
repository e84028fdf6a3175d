"""Importing fastnet, wherever it is: installed, frozen into an application, or only unpacked."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import fastnet

pytestmark = pytest.mark.processes

# Metadata are what freezing leaves out.
FROZEN = """
import importlib.metadata

def version(name):
    raise importlib.metadata.PackageNotFoundError(name)

importlib.metadata.version = version
import fastnet
print(fastnet.__version__)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_version_is_the_distributions() -> None:
    assert fastnet.__version__ == version("fastnet-mlp")


def test_without_the_distributions_metadata() -> None:
    done = run("-c", FROZEN)
    assert (done.stdout.strip(), done.stderr) == (fastnet.__version__, "")


def test_a_source_folder_on_the_path_says_what_to_do() -> None:
    folder = Path(__file__).parents[2]
    done = run("-S", "-c", f"import sys; sys.path = [{str(folder)!r}, *sys.path]; import fastnet")
    assert "ImportError: fastnet is not installed" in done.stderr
