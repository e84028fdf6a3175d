"""The same seed gives the same model as scikit-learn's MLPClassifier: the main oracle."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

# Largest relative difference of coefficients and losses after five epochs.
TOLERANCE = {np.float64: 1e-8, np.float32: 1e-3}
N_CONFIGURATIONS = 64


def data(kind, dtype, n_samples=230):
    if kind == "multilabel":
        X, y = make_multilabel_classification(n_samples, 9, n_classes=3, random_state=0)
    else:
        n_classes = {"binary": 2, "multiclass": 4}[kind]
        X, y = make_classification(
            n_samples, 9, n_informative=6, n_classes=n_classes, random_state=0
        )
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype), y


def draw_configuration(seed):
    """Draw a kind of target and parameters from everything that both estimators have."""
    rng = np.random.default_rng(seed)
    solver = rng.choice(["sgd", "adam"])
    parameters = {
        "solver": str(solver),
        "hidden_layer_sizes": [(), (5,), (33,), (20, 13), (7, 40, 8)][rng.integers(5)],
        "alpha": [0.0, 1e-4, 0.3][rng.integers(3)],
        "batch_size": [1, 3, 8, 31, 32, 64, "auto", 230][rng.integers(8)],
        "learning_rate": str(rng.choice(["constant", "invscaling", "adaptive"])),
        "learning_rate_init": [0.3, 0.03, 0.003][rng.integers(3)] / (1 + 9 * (solver == "adam")),
        "power_t": [0.5, 0.1][rng.integers(2)],
        "momentum": [0.0, 0.5, 0.9][rng.integers(3)],
        "nesterovs_momentum": bool(rng.integers(2)),
        "shuffle": bool(rng.integers(4)),
        "early_stopping": bool(rng.integers(2)),
        # Small or large enough for schedules and stopping rules to act within five epochs.
        "tol": [1e-4, 0.05][rng.integers(2)],
        "n_iter_no_change": int(rng.integers(1, 4)),
        "random_state": int(rng.integers(1000)),
        "max_iter": 5,
    }
    if parameters["batch_size"] in (1, 3):
        # Thousands of long steps are chaotic: scikit-learn's own result then moves by
        # 1e-2 when X moves by 1e-15.
        parameters["learning_rate_init"] /= 30
    return str(rng.choice(["binary", "multiclass", "multilabel"])), parameters


def fit_both(X, y, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn clips a batch size above the training samples, and says so.
        warnings.filterwarnings("ignore", message="Got `batch_size`")
        ours = SigmoidMLPClassifier(**parameters).fit(X, y)
        theirs = MLPClassifier(activation="logistic", **parameters).fit(X, y)
    return ours, theirs


def relative_difference(a, b):
    """Largest difference of two lists of arrays, relative to each array's largest element."""
    return max(np.abs(p - q).max() / np.abs(q).max() for p, q in zip(a, b, strict=True))


def assert_same_model(ours, theirs, X, tolerance):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert relative_difference(ours.coefs_, theirs.coefs_) <= tolerance
    assert relative_difference(ours.intercepts_, theirs.intercepts_) <= tolerance
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=tolerance)
    if theirs.early_stopping:
        assert ours.best_loss_ is None
        assert ours.validation_scores_ == theirs.validation_scores_
        assert ours.best_validation_score_ == theirs.best_validation_score_
    else:
        assert ours.validation_scores_ is None
        np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=tolerance)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), rtol=10 * tolerance, atol=tolerance
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(N_CONFIGURATIONS))
def test_drawn_configuration(seed, dtype):
    kind, parameters = draw_configuration(seed)
    X, y = data(kind, dtype)
    if dtype is np.float32 and parameters["early_stopping"]:
        # A sample on the boundary may be scored differently in the last bit.
        parameters["early_stopping"] = False
    ours, theirs = fit_both(X, y, parameters)
    assert ours.coefs_[0].dtype == dtype
    assert_same_model(ours, theirs, X, TOLERANCE[dtype])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_then_warm_start(kind, solver):
    """Optimiser state, counters and curves carry over as scikit-learn's do."""
    X, y = data(kind, np.float64)
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    parameters = {"hidden_layer_sizes": (6,), "solver": solver, "random_state": 5, "max_iter": 3}
    models = [
        SigmoidMLPClassifier(**parameters),
        MLPClassifier(activation="logistic", **parameters),
    ]
    for model in models:
        for part in (slice(0, 100), slice(100, 230), slice(50, 200)):
            model.partial_fit(X[part], y[part], classes=classes)
    assert_same_model(*models, X, 1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in models:
            model.set_params(warm_start=True).fit(X, y)
    assert_same_model(*models, X, 1e-8)


def test_adaptive_learning_rate_until_it_is_too_small(capsys):
    X, y = data("binary", np.float64, 60)
    parameters = {
        "hidden_layer_sizes": (4,),
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "tol": 0.1,
        "n_iter_no_change": 1,
        "max_iter": 100,
        "random_state": 0,
        "verbose": True,
    }
    ours = SigmoidMLPClassifier(**parameters).fit(X, y)
    our_lines = capsys.readouterr().out
    theirs = MLPClassifier(activation="logistic", **parameters).fit(X, y)
    assert "Learning rate too small. Stopping." in our_lines
    assert our_lines == capsys.readouterr().out
    assert_same_model(ours, theirs, X, 1e-8)


def test_normal_initial_weights_are_the_generators():
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier(
        (4,), init="normal", solver="sgd", learning_rate_init=1e-30, max_iter=1, random_state=9
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    draw = np.random.RandomState(9)
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_allclose(coef, draw.standard_normal(coef.shape))
        np.testing.assert_allclose(intercept, draw.standard_normal(intercept.shape))
