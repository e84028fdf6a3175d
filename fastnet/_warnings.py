"""Warnings of training: at the user's line, under the name of scikit-learn's module."""

import sys
import warnings
from types import FrameType
from typing import Any

from sklearn.exceptions import ConvergenceWarning

# ``filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")`` is how programs
# silence MLPClassifier, which warns in its own file.
_MODULE = "sklearn.neural_network._multilayer_perceptron"

# What a fit may be called by, or call, that the user did not write.
_LIBRARIES = {"contextlib", "fastnet", "joblib", "numpy", "sklearn"}


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn of a fit, as `MLPClassifier` does to filters, but naming the line that called it."""
    frame = _users_frame()
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=_MODULE,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def warn_of_lbfgs(result: Any, max_iter: int) -> None:
    """Warn in scikit-learn's words if L-BFGS ended before it converged."""
    if result.status == 0:
        return
    n_iter = min(result.nit, max_iter)
    more = f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
    warn(
        f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
        f"{result.message}\n"
        f"{more if n_iter == max_iter else ''}"
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )


def _users_frame() -> FrameType:
    """Return where the user's code called a library; in a worker process, the outermost frame."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame) in _LIBRARIES:
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
