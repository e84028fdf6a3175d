"""Sigmoid networks for scikit-learn, trained and served by compiled kernels."""

from ._version import __version__  # isort: skip
from ._classifier import SigmoidMLPClassifier

__all__ = ["SigmoidMLPClassifier", "__version__"]
