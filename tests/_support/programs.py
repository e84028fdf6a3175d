"""Programs of tests: modules of this folder that run in a process of their own."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Where they are started, so that they find one another.
ROOT = Path(__file__).parents[2]


def program(module: str, *arguments: Any, flags: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a module of the tests with arguments, in `ROOT`."""
    return [sys.executable, *flags, "-m", f"tests.{module}", *map(str, arguments)]
