"""Packages that an export needs and an installation of fastnet may lack."""

from importlib import import_module
from typing import Any


def require(module: str, extra: str) -> Any:
    """Return a module, or say which extra of fastnet brings it.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This export needs the package {module}: pip install 'fastnet-mlp[{extra}]'."
        ) from error
