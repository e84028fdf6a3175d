"""The warning that training led nowhere: the outputs hardly depend on X."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import scale

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor, kernels
from fastnet._engine import losses

MESSAGE = "Training has hardly moved the outputs"


def said(model: SigmoidMLPClassifier, X: Any, y: Any, **given: Any) -> bool:
    """Fit, and return whether there was the warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **given)
    ours = [warning for warning in caught if str(warning.message).startswith(MESSAGE)]
    assert all(warning.category is ConvergenceWarning for warning in ours)
    assert len(ours) <= 1
    return bool(ours)


def quadratic() -> tuple[Any, Any]:
    """Return the samples of scikit-learn's issue 31235."""
    # Its generator, so that the samples are the same.
    X = np.random.RandomState(1).random_sample((500, 2))
    return X, (X[:, 0] + (2 * (X[:, 1] - 0.5)) ** 2 - 0.75 >= 0).astype(int)


def test_the_constant_probabilities_of_issue_31235():
    X, y = quadratic()
    model = SigmoidMLPClassifier((20, 20), random_state=42)
    with pytest.warns(
        ConvergenceWarning, match=f"^{MESSAGE} .*StandardScaler.* learning_rate"
    ) as caught:
        model.fit(X, y)
    assert caught[0].filename == __file__
    # What was complained of: one label for all.
    assert_array_equal(model.predict(X[:20]), np.ones(20))
    # And what the message advises.
    learning = SigmoidMLPClassifier((20, 20), learning_rate_init=0.05, random_state=42)
    assert learning.fit(scale(X), y).score(scale(X), y) > 0.9


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_constant_features(kind, solver, loss):
    y = np.random.default_rng(0).integers(0, 2, (150, 3))
    y = {"binary": y[:, 0], "multiclass": y.sum(axis=1), "multilabel": y}[kind]
    model = SigmoidMLPClassifier(
        (5,), solver=solver, loss=loss, learning_rate_init=0.05, random_state=0
    )
    assert said(model, np.ones((150, 4)), y)
    weights = np.linspace(0.1, 1.0, 150)
    assert said(model, np.ones((150, 4)), y, sample_weight=weights)


def cause(model: SigmoidMLPClassifier, X: Any, y: Any) -> str:
    """Fit, and return the advice of the warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    messages = [str(warning.message) for warning in caught]
    (ours,) = [message for message in messages if message.startswith(MESSAGE)]
    return re.split(r"better than [a-z ]+\. ", ours)[1]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("alpha", [1e2, 1e3])
def test_weights_that_a_penalty_takes_away(solver, alpha):
    X, y = load_iris(return_X_y=True)
    model = SigmoidMLPClassifier(
        (5,), solver=solver, alpha=alpha, learning_rate_init=0.01, random_state=0
    )
    assert (
        cause(model, scale(X), y)
        == "The penalty has shrunk the weights to almost nothing: lower alpha."
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_advice_is_what_can_help(solver, kind):
    noise = scale(np.random.default_rng(0).normal(size=(300, 2)))
    # Every sample has either label.
    X, y = np.concatenate([noise, noise]), np.repeat([0, 1], 300)
    model = SigmoidMLPClassifier((5, 5), solver=solver, random_state=0)
    advice = cause(model, kind(X), y)
    if solver == "adam":
        assert advice == "Raise learning_rate_init or max_iter."
    else:
        assert advice == "It may be that X says nothing about y."
    for bad in (X + 5, X * 1e-3):
        assert cause(model, kind(bad), y).startswith("Standardise the features")
    assert cause(model, kind(np.ones_like(X)), y) == "No feature varies."


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_iter", [5, 200])
def test_not_of_a_rare_event(seed, max_iter):
    """One sample in a hundred, of a weak but real dependence: the loss gains next to nothing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4000, 5))
    y = (rng.random(4000) < 0.01 * np.exp(0.7 * X[:, 0] - 0.245)).astype(int)
    model = SigmoidMLPClassifier((10,), max_iter=max_iter, learning_rate_init=0.01, random_state=0)
    assert not said(model, X, y)
    if max_iter == 200:
        assert roc_auc_score(y, model.predict_proba(X)[:, 1]) > 0.6
        p = y.mean()
        assert model.loss_ > 0.9 * -(p * np.log(p) + (1 - p) * np.log(1 - p))


@pytest.mark.parametrize("labels", [[7], [0, 1]], ids=len)
def test_not_of_labels_that_are_all_the_same(labels):
    """There is nothing to learn, or no loss left."""
    X = np.ones((60, 3))
    y = np.full(60, labels[0])
    weights = np.ones(60)
    if len(labels) == 2:
        # The other class weighs nothing.
        y[30:], weights[30:] = labels[1], 0.0
    model = SigmoidMLPClassifier((5,), max_iter=20, random_state=0)
    assert not said(model, X, y, sample_weight=weights)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("weights", ["none", "any", "one value counts"])
def test_not_of_targets_that_are_all_the_same(loss, n_outputs, weights):
    """Rounding makes the mean of 150 times 3 another number, and a deviance negative."""
    X = np.random.default_rng(0).normal(size=(150, 3))
    y = np.full((150, n_outputs), 3.0)
    sample_weight = None if weights == "none" else np.random.default_rng(1).uniform(size=150)
    if weights == "one value counts":
        y[:50], sample_weight[:50] = 5.0, 0.0
    model = SigmoidMLPRegressor(loss, (5,), solver="lbfgs", max_iter=300, tol=1e-8, random_state=0)
    assert not said(model, X, y, sample_weight=sample_weight)


def test_a_label_that_is_always_on_does_not_hide_what_is_learned():
    """Weighted, its share may be 1 + 2e-16, and the logarithm of the rest is not a number."""
    rng = np.random.default_rng(0)
    for seed in range(20):
        weights = np.random.default_rng(seed).uniform(size=50)
        Y = np.column_stack([np.ones(50), rng.integers(0, 2, (50, 2))]).astype(np.uint8)
        for loss in (losses.BINARY_LOG_LOSS, losses.SQUARED_ERROR):
            alone = loss.constant(Y[:, 1:], weights)
            assert loss.constant(Y, weights) == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "rprop"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_not_after_a_good_fit(solver, early_stopping):
    X, y = load_iris(return_X_y=True)
    model = SigmoidMLPClassifier(
        (8,), solver=solver, early_stopping=early_stopping, learning_rate_init=0.1, random_state=1
    )
    assert not said(model, scale(X), y)
    assert model.score(scale(X), y) > 0.8


def test_not_of_a_part_of_training():
    model = SigmoidMLPClassifier((5,), random_state=0)
    # Warnings are errors.
    model.partial_fit(np.ones((50, 3)), np.arange(50) % 2, classes=[0, 1])


def test_samples_that_are_looked_at_are_from_everywhere():
    """Not the first thousand, which here are alike: the outputs do depend on X."""
    rng = np.random.default_rng(0)
    X, y = np.zeros((4000, 3)), rng.integers(0, 2, 4000)
    X[2000:] = rng.normal(size=(2000, 3))
    model = SigmoidMLPClassifier((), max_iter=1, random_state=0)
    for features in (X, X.astype(np.float32), sparse.csr_array(X)):
        assert not said(model, features, y)
        assert np.ptp(model.decision_function(features)) > 1.0


def test_looking_at_them_compiles_nothing_new():
    """They are handed to the kernel in the layout that it is compiled for."""
    said(SigmoidMLPClassifier((), max_iter=1), np.ones((4000, 3)), np.arange(4000) % 2)
    arrays = [
        a for types in kernels.forward.serial.signatures for a in types if hasattr(a, "layout")
    ]
    assert {array.layout for array in arrays} == {"C"}
