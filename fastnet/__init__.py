"""Sigmoid networks for scikit-learn, trained and served by compiled kernels."""

from importlib.util import find_spec

if find_spec("fastnet.kernels") is None:
    raise ImportError(
        "fastnet is not installed, only its source folder is on the path; "
        "run `pip install .` (or `pip install -e .`) in the repository"
    )

from . import export
from ._classifier import SigmoidMLPClassifier
from ._files import load, save
from ._predictor import Predictor
from ._regressor import SigmoidMLPRegressor
from ._show_versions import show_versions
from ._version import __version__

__all__ = [
    "Predictor",
    "SigmoidMLPClassifier",
    "SigmoidMLPRegressor",
    "__version__",
    "export",
    "load",
    "save",
    "show_versions",
]
