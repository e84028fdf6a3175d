"""What scikit-learn's tests of MLPClassifier cover, restated: what is kept between calls.

partial_fit, warm_start, early stopping and pickles; test_mlp_behaviours.py has the rest, and
the list of originals that are tested elsewhere or not at all.
"""

import re

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

# Most tests ask for a number of epochs and get it.
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

DATA = {
    n_classes: make_classification(
        160, 6, n_informative=4, n_classes=n_classes, flip_y=0.1, random_state=0
    )
    for n_classes in (2, 3)
}
classes = pytest.mark.parametrize("n_classes", DATA)


def both(hidden, **parameters):
    """Return the two estimators of the same seed and parameters, ours first."""
    ours = SigmoidMLPClassifier(hidden, random_state=0, **parameters)
    return ours, MLPClassifier(hidden, activation="logistic", random_state=0, **parameters)


def message_of(call, *args, **kwargs):
    """Return what the ValueError of a call says."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the caller compares it
        call(*args, **kwargs)
    return str(caught.value)


def test_other_classes_than_before_are_refused():
    """test_partial_fit_classes_error."""
    messages = []
    for model in both((3,), solver="sgd"):
        model.partial_fit([[3.0, 2.0]], [0], classes=[0, 1])
        messages.append(message_of(model.partial_fit, [[3.0, 2.0]], [0], classes=[1, 2]))
    assert messages[0] == messages[1]
    assert "classes" in messages[0]


@pytest.mark.parametrize("known", [None, [2]])
def test_classes_must_be_given_and_be_those_of_y(known):
    """test_partial_fit_errors."""
    X, y = [[3.0, 2.0], [1.0, 6.0]], [1, 0]
    ours, theirs = both((3,), solver="sgd")
    message = message_of(ours.partial_fit, X, y, classes=known)
    assert message == message_of(theirs.partial_fit, X, y, classes=known)
    assert not hasattr(ours, "classes_")


def test_lbfgs_has_no_partial_fit():
    """test_partial_fit_errors."""
    model = SigmoidMLPClassifier(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])
    assert hasattr(model.set_params(solver="sgd"), "partial_fit")


@classes
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_repeated_partial_fit_is_fit(n_classes, momentum):
    """test_partial_fit_classification; momentum is test_partial_fit_regression's.

    All samples are one mini-batch, so only their order in a sum differs.
    """
    X, y = DATA[n_classes]
    rules = {"tol": 0, "n_iter_no_change": np.inf, "max_iter": 60}
    descent = {"solver": "sgd", "momentum": momentum, "learning_rate_init": 2, "random_state": 1}
    at_once = SigmoidMLPClassifier((8,), **rules, **descent).fit(X, y)
    bit_by_bit = SigmoidMLPClassifier((8,), **descent)
    for _ in range(60):
        bit_by_bit.partial_fit(X, y, classes=np.unique(y))
    assert_allclose(bit_by_bit.loss_curve_, at_once.loss_curve_, rtol=1e-8)
    assert_allclose(bit_by_bit.predict_proba(X), at_once.predict_proba(X), rtol=1e-6)
    assert_array_equal(bit_by_bit.predict(X), at_once.predict(X))
    assert bit_by_bit.score(X, y) > {2: 0.7, 3: 0.6}[n_classes]


def test_a_class_may_first_appear_in_a_later_call():
    """test_partial_fit_unseen_classes."""
    ours, theirs = both((6,), learning_rate_init=0.1)
    for model in (ours, theirs):
        model.partial_fit([[1.0], [2.0], [3.0]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
        for _ in range(20):
            model.partial_fit([[9.0]], ["d"])
    assert_allclose(ours.predict_proba([[1.0], [9.0]]), theirs.predict_proba([[1.0], [9.0]]))
    assert_array_equal(ours.predict([[9.0]]), ["d"])


def test_partial_fit_after_a_fit_that_stopped_early():
    """test_mlp_partial_fit_after_fit."""
    X, y = DATA[3]
    model = SigmoidMLPClassifier((5,), early_stopping=True, max_iter=5, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
def test_learning_rate_after_two_warm_fits(schedule):
    """test_learning_rate_warmstart: seen in the step that a third call takes.

    Without hidden layers the gradient is X' (p - y) / n.
    """
    X = np.array([[3.0, 2.0], [1.0, 6.0], [5.0, 6.0], [-2.0, -4.0]])
    y = np.array([1, 1, 0, 0])
    rate = {"learning_rate": schedule, "learning_rate_init": 0.01, "power_t": 0.25}
    plain = {"solver": "sgd", "momentum": 0, "alpha": 0, "max_iter": 1, "warm_start": True}
    model = SigmoidMLPClassifier((), random_state=0, **rate, **plain)
    model.fit(X, y).fit(X, y)
    gradient = X.T @ (model.predict_proba(X)[:, 1] - y) / 4
    before = model.coefs_[0].copy()
    model.partial_fit(X, y)
    # Eight samples were seen in two epochs.
    expected = 0.01 if schedule == "constant" else 0.01 / 9**0.25
    assert_allclose((before - model.coefs_[0]).ravel(), expected * gradient, rtol=1e-9)


def test_a_warm_lbfgs_goes_on_from_where_it_was():
    """test_warm_start: the same classes may come in other proportions."""
    X, y = DATA[3]
    model = SigmoidMLPClassifier((3,), solver="lbfgs", alpha=0.1, warm_start=True, random_state=0)
    cold, n_cold = model.fit(X, y).loss_, model.n_iter_
    warm, n_warm = model.fit(X, y).loss_, model.n_iter_
    assert warm <= cold * (1 + 1e-12)
    assert n_warm < n_cold
    model.fit(X, np.sort(y))
    assert np.isfinite(model.loss_)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 3], [0, 1, 2, 3]], ids=str)
def test_a_warm_fit_refuses_other_classes(solver, labels):
    """test_warm_start."""
    X, y = DATA[3]
    ours, theirs = both((3,), solver=solver, max_iter=5, warm_start=True)
    ours.fit(X, y)
    theirs.fit(X, y)
    before = ours.predict_proba(X)
    other = np.resize(labels, len(X))
    message = message_of(ours.fit, X, other)
    assert message == message_of(theirs.fit, X, other)
    assert re.search(r"same classes .* Previously got \[0 1 2\]", message)
    assert_array_equal(ours.predict_proba(X), before)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_max_iter_counts_from_each_warm_fit(solver):
    """test_warm_start_full_iteration and test_mlp_warm_start_no_convergence."""
    X, y = DATA[3]
    model = SigmoidMLPClassifier(
        (10,), solver=solver, n_iter_no_change=np.inf, warm_start=True, tol=1e-9, random_state=0
    )
    for max_iter in (3, 3, 10):
        with pytest.warns(ConvergenceWarning):
            model.set_params(max_iter=max_iter).fit(X, y)
        assert model.n_iter_ == max_iter


def test_validation_scores_go_on_in_a_warm_fit():
    """test_mlp_warm_start_with_early_stopping."""
    X, y = DATA[3]
    model = SigmoidMLPClassifier(
        (10,), max_iter=5, warm_start=True, early_stopping=True, random_state=0
    ).fit(X, y)
    first = list(model.validation_scores_)
    assert len(first) == 5
    model.set_params(max_iter=8).fit(X, y)
    assert model.validation_scores_[:5] == first
    assert len(model.validation_scores_) == 5 + model.n_iter_ > 5
    assert model.best_validation_score_ == max(model.validation_scores_)


@classes
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_early_stopping_ends_and_keeps_the_best(solver, n_classes):
    """test_early_stopping."""
    X, y = DATA[n_classes]
    training = {"solver": solver, "learning_rate_init": 0.05, "batch_size": 20, "random_state": 3}
    parameters = {"early_stopping": True, "validation_fraction": 0.25, "tol": 0.01, **training}
    model = SigmoidMLPClassifier((8,), max_iter=3000, **parameters).fit(X, y)
    scores, best, waited = model.validation_scores_, -np.inf, [0]
    for score in scores:
        waited.append(waited[-1] + 1 if score < best + 0.01 else 0)
        best = max(best, score)
    assert isinstance(scores, list)
    assert waited[-1] == 11 > max(waited[:-1])
    assert model.n_iter_ == len(scores) < 3000
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(scores) > scores[0]
    # Trained only as far as the best epoch, it is the same model.
    n_best = int(np.argmax(scores)) + 1
    assert n_best < model.n_iter_
    shorter = SigmoidMLPClassifier((8,), max_iter=n_best, **parameters).fit(X, y)
    assert_array_equal(shorter.coefs_[0], model.coefs_[0])


def test_nothing_is_validated_unasked():
    """test_early_stopping."""
    model = SigmoidMLPClassifier((4,), max_iter=3, random_state=0).fit(*DATA[2])
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.best_loss_ == min(model.loss_curve_)


def test_the_split_is_stratified_for_two_classes():
    """test_early_stopping_stratified: which a class of one sample does not allow."""
    X, y = np.arange(24.0).reshape(12, 2), np.array([0] * 11 + [1])
    model = SigmoidMLPClassifier((3,), early_stopping=True, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r"least populated class.* only 1 member"):
        model.fit(X, y)
    # With several outputs there is no such split, and no such error.
    assert model.fit(X, np.where(y == 1, 2, np.arange(12) % 2)).n_outputs_ == 3


@pytest.mark.parametrize(
    "labels",
    [np.array(["no", "yes"]), np.array(["a", "b", "c"], object), np.array([False, True])],
    ids=str,
)
def test_validation_scores_do_not_depend_on_the_labels(labels):
    """test_mlp_early_stopping_string_labels."""
    X, y = DATA[len(labels)]
    named, numbered = (
        SigmoidMLPClassifier((8,), early_stopping=True, max_iter=30, random_state=0).fit(X, targets)
        for targets in (labels[y], y)
    )
    assert len(named.validation_scores_) == named.n_iter_
    assert named.validation_scores_ == numbered.validation_scores_
    assert np.isfinite(named.validation_scores_).all()


def test_feature_names_survive_validation():
    """test_preserve_feature_names: scoring the held-out rows does not warn of lost names."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = DATA[2]
    frame, target = pandas.DataFrame(X, columns=list("abcdef")), pandas.Series(y, name="target")
    model = SigmoidMLPClassifier((4,), early_stopping=True, max_iter=3, random_state=0)
    model.fit(frame, target)
    assert list(model.feature_names_in_) == list("abcdef")
    expected = SigmoidMLPClassifier(**model.get_params()).fit(X, y)
    assert model.validation_scores_ == expected.validation_scores_


@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
def test_a_loaded_model_learns_anew(tmp_path):
    """test_mlp_loading_from_joblib_partial_fit: a class in place of a number."""
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    model = SigmoidMLPClassifier((6,), learning_rate_init=0.05, random_state=0).fit(X, y)
    assert model.predict_proba(X)[1, 1] > 0.9
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    for _ in range(300):
        loaded.partial_fit(X, 1 - y)
    assert loaded.predict_proba(X)[1, 1] < 0.1
    assert_array_equal(loaded.predict(X), 1 - y)
    assert_array_equal(model.predict(X), y)
