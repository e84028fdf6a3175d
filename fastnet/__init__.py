"""Sigmoid networks for scikit-learn, trained and served by compiled kernels."""

from ._version import __version__  # isort: skip
from ._classifier import SigmoidMLPClassifier
from ._persistence import load, save
from ._show_versions import show_versions

__all__ = ["SigmoidMLPClassifier", "__version__", "load", "save", "show_versions"]
