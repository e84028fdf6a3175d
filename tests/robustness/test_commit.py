"""Commit or nothing: what a fit changes and when, whatever code of the user's does meanwhile."""

import io
import sys
import warnings
from functools import partial
from importlib.util import find_spec
from operator import methodcaller

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from .._support import estimators
from .._support.faults import Outcomes, state, twin

# A number of epochs is asked for, and noise teaches nothing.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 3)), np.repeat(["a", "b"], 30)
FRAME = pd.DataFrame(X, columns=["one", "two", "three"])


class Score:
    """A score of the user's own, which does something else first in the second epoch."""

    act = None

    def __call__(self, estimator, X, y):
        if self.act is not None and estimator.n_iter_ == 2:
            self.act()
        return 0.5

    def __deepcopy__(self, memo):
        return self


@pytest.fixture
def score():
    return Score()


unfitted = partial(estimators.unfitted, hidden_layer_sizes=(4,), random_state=0)
fit = methodcaller("fit", X, y)


def fit_validated(model):
    """Fit with a score, L-BFGS too."""
    return model.fit(X, y, X_val=X, y_val=y)


class Samples:
    """Features that do something when they are asked for their numbers."""

    shape, dtype = X.shape, X.dtype

    def __init__(self, act):
        self.act = act

    def __len__(self):
        return len(X)

    def __array__(self, *args, **kwargs):
        self.act()
        return X


def throw(error):
    raise error


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_score_that_raises(solver, error, score):
    prepared = unfitted(solver=solver, early_stopping=True, scoring=score)
    outcomes = Outcomes(fit(prepared), fit_validated)
    expected = outcomes.complete(1)
    score.act = lambda: throw(error)
    end = outcomes.of(fit_validated, error)
    assert end == ("an epoch" if error is KeyboardInterrupt else "unchanged")
    assert expected != outcomes.before


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("argument", ["X", "X_val"])
def test_features_that_raise(argument, error):
    samples = Samples(lambda: throw(error))

    def act(model):
        if argument == "X":
            return model.fit(samples, y)
        return model.fit(X, y, X_val=samples, y_val=y)

    assert Outcomes(fit(unfitted()), act).of(act, error) == "unchanged"


class BrokenPipe(io.StringIO):
    """What stdout is when `head` has seen enough."""

    def write(self, text):
        if "Iteration 2" in text:
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_output_that_fails(solver, monkeypatch):
    closed = io.StringIO()
    closed.close()
    outcomes = Outcomes(fit(unfitted(solver=solver, verbose=True)), fit)
    for stdout, error in [(closed, ValueError), (BrokenPipe(), BrokenPipeError)]:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert outcomes.of(fit, error) == "unchanged"


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"batch_size": 1000}, UserWarning),
        ({"max_iter": 1}, ConvergenceWarning),
        ({"early_stopping": True}, UserWarning),
    ],
    ids=["clipped", "not converged", "interrupted"],
)
def test_a_warning_that_is_an_error(parameters, error, score):
    score.act = lambda: throw(KeyboardInterrupt)
    model = fit(unfitted()).set_params(scoring=score, **parameters)
    before = state(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error):
            fit(model)
    assert state(model) == before


def test_a_warning_that_is_an_error_leaves_mlpclassifier_fitted():
    mlp = MLPClassifier((4,), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            fit(mlp)
    assert hasattr(mlp, "coefs_")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_first_fit_that_fails_leaves_no_attributes(method):
    model = unfitted(hidden_layer_sizes=(), solver="sgd", learning_rate_init=1e300)
    parameters = dict(vars(model))
    arguments = {} if method == "fit" else {"classes": ["a", "b"]}
    for factor, message in [(np.nan, "NaN"), (1e300, "non-finite")]:
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(factor * FRAME, y, **arguments)
        assert vars(model) == parameters


def test_names_of_features_come_and_go_with_the_fit():
    model = unfitted().fit(FRAME, y)
    assert_array_equal(model.feature_names_in_, FRAME.columns)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(FRAME.rename(columns=str.upper) * np.nan, y)
    assert_array_equal(model.feature_names_in_, FRAME.columns)
    assert not hasattr(model.fit(X, y), "feature_names_in_")
    model.fit(FRAME.rename(columns=str.upper), y)
    assert_array_equal(model.feature_names_in_, ["ONE", "TWO", "THREE"])


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_set_meanwhile_is_kept(fails, score):
    def act():
        model.set_params(alpha=9.0, max_iter=7)
        model.note = "my own"
        if fails:
            raise RuntimeError

    model = fit(unfitted(early_stopping=True, scoring=score))
    before, expected = state(model), state(fit(twin(model).set_params(tol=1.0)))
    score.act = act
    model.set_params(tol=1.0)
    if fails:
        with pytest.raises(RuntimeError):
            fit(model)
    else:
        fit(model)
    # A fit goes by what was set when it began.
    own = {"alpha": 9.0, "max_iter": 7, "note": "my own", "tol": 1.0}
    assert state(model) == (before if fails else expected) | own


@pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks from 1.9 on"
)
def test_what_a_callback_sets_is_kept():
    class Callback:
        def setup(self, estimator, context):
            estimator.set_params(alpha=9.0)
            estimator.note = "of the callback"

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

    model = fit(unfitted().set_callbacks(Callback()))
    assert (model.alpha, model.note) == (9.0, "of the callback")


def test_the_old_model_predicts_until_the_new_one_is_complete(score):
    model = fit(unfitted(early_stopping=True, scoring=score))
    expected, seen = model.predict_proba(X), []
    score.act = lambda: seen.append(model.predict_proba(X))
    fit(model.set_params(hidden_layer_sizes=(5, 5)))
    assert_array_equal(seen, [expected])
    assert (model.predict_proba(X) != expected).any()


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "activations", "loss_gradients"]
)
def test_a_prediction_is_of_the_model_that_it_began_with(method):
    """Classes, layers and weights are others by the time it has its samples."""
    model = fit(unfitted())
    labels = [y] if method == "loss_gradients" else []
    expected = getattr(model, method)(X, *labels)

    def refit():
        model.set_params(hidden_layer_sizes=(5, 4), loss="squared_error")
        model.fit(X, np.repeat(["x", "y", "z"], 20))

    np.testing.assert_equal(getattr(model, method)(Samples(refit), *labels), expected)
    assert list(model.classes_) == ["x", "y", "z"]


def test_of_two_fits_at_a_time_one_wins(score):
    """Nothing of the other is left, though it was of a frame and had more layers."""

    def act():
        model.set_params(hidden_layer_sizes=(5, 5), scoring=None).fit(FRAME, y)
        assert len(model.coefs_) == 3
        model.set_params(hidden_layer_sizes=sizes, scoring=score)

    model = unfitted(early_stopping=True, scoring=score)
    sizes = model.hidden_layer_sizes
    expected = state(fit(twin(model)))
    score.act = act
    assert state(fit(model)) == expected
