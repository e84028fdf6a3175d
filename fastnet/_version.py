"""The version that is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fastnet-mlp")
except PackageNotFoundError as error:
    raise ImportError(
        "fastnet is not installed, only its source folder is on the path; "
        "run `pip install .` (or `pip install -e .`) in the repository"
    ) from error
