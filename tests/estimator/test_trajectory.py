"""The same seed gives the same model as scikit-learn's MLPClassifier: the main oracle."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

from .._support.parity import (
    TOLERANCE,
    assert_same_model,
    both,
    data,
    fit_both,
    run,
    without_notices,
)

pytestmark = pytest.mark.thorough

N_CONFIGURATIONS = 64


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
def test_partial_fit(kind, solver):
    """Optimiser state, counters and curves carry over as scikit-learn's do."""
    X, y = data(kind, np.float64)
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    models = both(hidden_layer_sizes=(6,), solver=solver, random_state=5)
    for model in models:
        for part in (slice(0, 100), slice(100, 230), slice(50, 200)):
            model.partial_fit(X[part], y[part], classes=classes)
    assert_same_model(*models, X, 1e-8)


@pytest.mark.parametrize("first", ["partial_fit", "fit"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_warm_start_without_momentum(kind, first):
    """scikit-learn starts its optimiser afresh, which only here is no state at all.

    What becomes of the state of others is in test_continuation.py.
    """
    X, y = data(kind, np.float64)
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    descent = {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1, "max_iter": 3}
    models = both(hidden_layer_sizes=(6,), random_state=5, warm_start=True, **descent)
    for model in models:
        if first == "fit":
            run(model, lambda m: m.fit(X, y))
        else:
            model.partial_fit(X, y, classes=classes)
        run(model, lambda m: m.fit(X, y))
    assert models[0].t_ == 230 * (6 if first == "fit" else 4)
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
    our_lines = without_notices(capsys.readouterr().out)
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
