"""Warnings of fits: filters that were written for MLPClassifier hold, and each names a line."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .._support.parity import data

X, Y = data("binary", np.float64, 60)

# What a fit may warn of, by what makes it.
FITS: dict[str, dict[str, Any]] = {
    "too few epochs": {"max_iter": 1},
    "L-BFGS too short": {"solver": "lbfgs", "max_iter": 1},
    "hardly moved": {"alpha": 100.0, "learning_rate_init": 0.1},
    "batch too large": {"batch_size": 10**6, "max_iter": 1},
}
fits = pytest.mark.parametrize("parameters", FITS.values(), ids=FITS.keys())


def warned(fit: Callable[[], object], **silence: Any) -> list[warnings.WarningMessage]:
    """Return what is not silenced by a filter, as `warnings.filterwarnings` takes it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if silence:
            warnings.filterwarnings("ignore", **silence)
        fit()
    return caught


@fits
@pytest.mark.parametrize("module", ["sklearn", r"sklearn\.neural_network"])
def test_what_silences_scikit_learns_class_silences_ours(
    parameters: dict[str, Any], module: str
) -> None:
    model = SigmoidMLPClassifier((3,), random_state=0, **parameters)
    assert warned(lambda: model.fit(X, Y)) != []
    assert warned(lambda: model.fit(X, Y), module=module) == []


def test_as_scikit_learns_class_does() -> None:
    """What the filter above is taken from, `plot_mlp_training_curves`, does with both."""
    silence = {"category": ConvergenceWarning, "module": "sklearn"}
    for kind in (MLPClassifier, SigmoidMLPClassifier):
        assert warned(lambda kind=kind: kind((3,), max_iter=1).fit(X, Y), **silence) == []
        assert len(warned(lambda kind=kind: kind((3,), max_iter=1).fit(X, Y))) == 1


@fits
@pytest.mark.parametrize(
    "around",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: GridSearchCV(model, {"alpha": [1e-4]}, cv=2),
    ],
    ids=["alone", "pipeline", "grid search"],
)
def test_the_line_that_is_named_is_the_users(parameters: dict[str, Any], around: Any) -> None:
    model = around(SigmoidMLPClassifier((3,), random_state=0, **parameters))

    def fit() -> None:
        model.fit(X, Y)

    line = fit.__code__.co_firstlineno + 1
    assert {(said.filename, said.lineno) for said in warned(fit)} == {(__file__, line)}


def test_without_a_line_of_the_users_a_warning_still_comes() -> None:
    namespace = {"__name__": "sklearn.somewhere", "model": SigmoidMLPClassifier((3,), max_iter=1)}
    namespace |= {"X": X, "Y": Y}
    assert len(warned(lambda: exec("model.fit(X, Y)", namespace))) == 1
