"""One configuration in our estimator and in scikit-learn's, and what must come out equal."""

import io
import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

from ..reference import Array

# Largest relative difference of coefficients and losses after a few epochs.
TOLERANCE = {np.float64: 1e-8, np.float32: 1e-3}

# The beginning of a warning that scikit-learn does not give, on purpose.
OURS_ALONE = "Training has hardly moved the outputs"


def data(kind: str, dtype: Any, n_samples: int = 230) -> tuple[Array, Array]:
    """Return standardised features and labels of a kind, with something to learn."""
    if kind == "multilabel":
        X, y = make_multilabel_classification(n_samples, 9, n_classes=3, random_state=0)
    else:
        n_classes = {"binary": 2, "multiclass": 4}[kind]
        X, y = make_classification(
            n_samples, 9, n_informative=6, n_classes=n_classes, random_state=0
        )
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype), y


def both(**parameters: Any) -> tuple[SigmoidMLPClassifier, MLPClassifier]:
    """Return the two estimators with the same parameters, ours first."""
    return SigmoidMLPClassifier(**parameters), MLPClassifier(activation="logistic", **parameters)


def without_notices(printed: str) -> str:
    """Drop lines on kernels that are compiled, of which scikit-learn has none."""
    lines = printed.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("fastnet compiles "))


@dataclass
class Run:
    """A fitted model, and what was said on the way."""

    model: Any
    warnings: list[tuple[type[Warning], str]]
    printed: str


def run(model: Any, train: Callable[[Any], object]) -> Run:
    """Train a model; record what it warns of and prints."""
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()) as out:
        warnings.simplefilter("always")
        train(model)
    said = [(warning.category, str(warning.message)) for warning in caught]
    shared = [(kind, text) for kind, text in said if not text.startswith(OURS_ALONE)]
    return Run(model, shared, without_notices(out.getvalue()))


def fit_both(X: Array, y: Array, parameters: dict[str, Any]) -> tuple[Any, Any]:
    """Return our fitted model and scikit-learn's, whatever they warned of."""
    ours, theirs = (run(model, lambda m: m.fit(X, y)).model for model in both(**parameters))
    return ours, theirs


def relative_difference(a: Iterable[Array], b: Iterable[Array]) -> float:
    """Largest difference of two lists of arrays, relative to each array's largest element."""
    return max(np.abs(p - q).max() / np.abs(q).max() for p, q in zip(a, b, strict=True))


def assert_same_model(ours: Any, theirs: Any, X: Any, tolerance: float) -> None:
    """Assert that all that a fit leaves behind is the same."""
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert relative_difference(ours.coefs_, theirs.coefs_) <= tolerance
    assert relative_difference(ours.intercepts_, theirs.intercepts_) <= tolerance
    assert_close_losses(ours.loss_, theirs.loss_, tolerance)
    if theirs.solver != "lbfgs":
        assert_same_record(ours, theirs, tolerance)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), rtol=10 * tolerance, atol=tolerance
    )


def assert_same_record(ours: Any, theirs: Any, tolerance: float) -> None:
    """Assert that the course of a stochastic training was the same."""
    assert_close_losses(ours.loss_curve_, theirs.loss_curve_, tolerance)
    if theirs.early_stopping:
        assert ours.best_loss_ is None
        assert ours.validation_scores_ == theirs.validation_scores_
    else:
        assert ours.validation_scores_ is None
        assert_close_losses(ours.best_loss_, theirs.best_loss_, tolerance)
    assert ours.best_validation_score_ == theirs.best_validation_score_


def assert_close_losses(ours: Any, theirs: Any, tolerance: float) -> None:
    """Assert that losses agree, relatively, or as logarithms of numbers near 1 can."""
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=1e-3 * tolerance)


def assert_same_words(ours: str, theirs: str, tolerance: float) -> None:
    """Assert that two texts are equal but for rounding of the numbers printed in them."""
    number = re.compile(r"\d+\.\d+")
    assert number.sub("#", ours) == number.sub("#", theirs)
    printed = [[float(text) for text in number.findall(words)] for words in (ours, theirs)]
    # Eight digits are printed after the point; the last may be rounded the other way.
    np.testing.assert_allclose(*printed, rtol=tolerance, atol=max(2e-8, 1e-3 * tolerance))
