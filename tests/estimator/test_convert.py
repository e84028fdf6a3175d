"""Estimators that were not trained here: from_weights, from_sklearn and to_sklearn."""

import pickle
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer

from fastnet import SigmoidMLPClassifier

from .._support.parity import both, data

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Of each kind of labels: how many outputs there are, and what `classes` says.
CLASSES = {"binary": (1, [0, 1]), "multiclass": (4, [0, 1, 2, 3]), "multilabel": (3, None)}
RECORDS = ["n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_"]
# Descent that has no state: whoever goes on from the same weights takes the same steps.
STATELESS = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5, "shuffle": False}

EARLY = {"early_stopping": True, "n_iter_no_change": 1}
kinds = pytest.mark.parametrize("kind", CLASSES)


def network(sizes: tuple[int, ...], dtype: Any = np.float64) -> tuple[list[Any], list[Any]]:
    """Return weights and biases; hidden units at 1/2 cancel, so that labels are mixed."""
    rng = np.random.default_rng(len(sizes))
    coefs = [rng.normal(size=shape).astype(dtype) for shape in pairwise(sizes)]
    return coefs, [-0.5 * coef.sum(axis=0) * (i > 0) for i, coef in enumerate(coefs)]


def scikit_learns(kind: str, hidden: tuple[int, ...], **parameters: Any) -> MLPClassifier:
    """Return scikit-learn's estimator with the weights of `network`."""
    mlp = MLPClassifier(hidden, activation="logistic", max_iter=1, **parameters)
    mlp.fit(*data(kind, np.float64))
    mlp.coefs_, mlp.intercepts_ = network((9, *hidden, mlp.n_outputs_))
    return mlp


def assert_same_predictions(a: Any, b: Any, X: Any) -> None:
    """Assert that two estimators say the same of samples."""
    assert_array_equal(a.predict(X), b.predict(X))
    assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-12, atol=1e-12)
    assert_array_equal(a.classes_, b.classes_)
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(a, name) == getattr(b, name)


def assert_same_weights(a: Any, b: Any, rtol: float = 0.0) -> None:
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    for one, other in pairs:
        assert_allclose(one, other, rtol=rtol, atol=rtol)


@kinds
@pytest.mark.parametrize("hidden", [(), (5,), (7, 3)], ids=str)
def test_given_weights_predict_what_scikit_learn_predicts_with_them(kind, hidden):
    X, _ = data(kind, np.float64)
    n_outputs, classes = CLASSES[kind]
    model = SigmoidMLPClassifier.from_weights(*network((9, *hidden, n_outputs)), classes)
    assert model.hidden_layer_sizes == hidden
    mlp = scikit_learns(kind, hidden)
    assert_same_predictions(model, mlp, X)
    assert_allclose(model.predict_log_proba(X), mlp.predict_log_proba(X), rtol=1e-10)
    assert len(np.unique(model.predict(X))) > 1


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c", "d"]], ids=len)
def test_a_logistic_regression_is_a_network_without_hidden_layers(labels):
    X, y = data("binary" if len(labels) == 2 else "multiclass", np.float64)
    linear = LogisticRegression(max_iter=1000).fit(X, np.array(labels)[y])
    model = SigmoidMLPClassifier.from_weights([linear.coef_.T], [linear.intercept_], labels)
    assert_array_equal(model.predict(X), linear.predict(X))
    assert_allclose(model.predict_proba(X), linear.predict_proba(X), rtol=1e-12)
    assert model.score(X, np.array(labels)[y]) > 0.5


@kinds
def test_squared_errors_have_sigmoid_outputs(kind):
    X, _ = data(kind, np.float64)
    n_outputs, classes = CLASSES[kind]
    coefs, intercepts = network((9, n_outputs))
    model = SigmoidMLPClassifier.from_weights(coefs, intercepts, classes, loss="squared_error")
    outputs = expit(X @ coefs[0] + intercepts[0])
    expected = outputs
    if kind == "binary":
        expected = np.column_stack([1 - outputs, outputs])
    elif kind == "multiclass":
        expected = outputs / outputs.sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(X), expected, rtol=1e-10)
    assert model.out_activation_ == "logistic"


def test_a_network_is_of_single_precision_if_all_weights_are():
    coefs, intercepts = network((9, 5, 1), np.float32)
    single = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1])
    mixed = SigmoidMLPClassifier.from_weights(
        [coefs[0], coefs[1].astype(np.float64)], intercepts, [0, 1]
    )
    X, _ = data("binary", np.float64)
    assert {a.dtype for a in single.coefs_ + single.intercepts_} == {np.dtype(np.float32)}
    assert single.predict_proba(X).dtype == np.float32
    assert {a.dtype for a in mixed.coefs_ + mixed.intercepts_} == {np.dtype(np.float64)}
    assert_allclose(single.predict_proba(X), mixed.predict_proba(X), rtol=1e-5)


def test_given_weights_are_copied_and_have_no_history():
    coefs, intercepts = network((9, 5, 1))
    model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1], alpha=0.5)
    X, _ = data("binary", np.float64)
    before = model.predict_proba(X)
    coefs[0][:] = intercepts[1][:] = 0.0
    assert_array_equal(model.predict_proba(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), before)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    assert model.validation_scores_ is None
    assert clone(model).get_params() == SigmoidMLPClassifier((5,), alpha=0.5).get_params()


@pytest.mark.parametrize(
    ("coefs", "intercepts", "message"),
    [
        ([], [], "coefs must have at least one array"),
        (
            [np.ones((4, 3)), np.ones((2, 1))],
            [np.ones(3), np.ones(1)],
            r"coefs\[1\] must have 3 rows",
        ),
        ([np.ones(4)], [np.ones(1)], "Expected 2D array, got 1D"),
        ([np.ones((4, 1, 1))], [np.ones(1)], "dim 3"),
        ([np.ones((4, 0))], [np.ones(0)], "0 feature"),
        ([np.ones((4, 1))], [], "Expected 1 arrays of intercepts, got 0"),
        ([np.ones((4, 1))], [np.ones(1)] * 2, "Expected 1 arrays of intercepts, got 2"),
        ([np.ones((4, 1))], [np.ones(2)], r"intercepts\[0\] must have shape \(1,\), got \(2,\)"),
        ([np.ones((4, 1))], [np.ones((1, 1))], r"must have shape \(1,\), got \(1, 1\)"),
        ([np.full((4, 1), np.nan)], [np.ones(1)], "coefs contains NaN"),
        ([np.ones((4, 1))], [[np.inf]], "intercepts contains infinity"),
        ([[["a"]]], [[0]], "could not convert string"),
    ],
)
def test_weights_of_bad_shapes_and_values(coefs, intercepts, message):
    with pytest.raises(ValueError, match=message):
        SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1])


@pytest.mark.parametrize(
    ("n_outputs", "classes", "message"),
    [
        (1, [1, 0], "classes must be sorted and unique"),
        (1, [0, 0], "classes must be sorted and unique"),
        (1, [[0, 1]], "classes must be sorted and unique"),
        (1, [], "0 samples"),
        (1, [0, 1, 2], r"3 classes need a last layer of 3 unit\(s\), got 1"),
        (2, [0, 1], r"2 classes need a last layer of 1 unit\(s\), got 2"),
        (4, [0, 1, 2], r"3 classes need a last layer of 3 unit\(s\), got 4"),
        (1, [0.5, 1.5], "Unknown label type"),
    ],
)
def test_bad_classes(n_outputs, classes, message):
    with pytest.raises(ValueError, match=message):
        SigmoidMLPClassifier.from_weights(*network((4, n_outputs)), classes)


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_without_classes_labels_are_numbered_as_a_fitted_binarizer_has_them(n_outputs):
    model = SigmoidMLPClassifier.from_weights(*network((4, n_outputs)), None)
    fitted = LabelBinarizer().fit(np.eye(max(n_outputs, 2), n_outputs, dtype=int))
    np.testing.assert_equal(vars(model._label_binarizer), vars(fitted))


def test_many_labels_take_no_matrix_of_them():
    weights = network((1, 5000))
    tracemalloc.start()
    try:
        SigmoidMLPClassifier.from_weights(*weights, None)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_bad_parameters_of_a_network_of_given_weights():
    weights = network((4, 1))
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        SigmoidMLPClassifier.from_weights(*weights, [0, 1], colour="red")
    for name, value in (("alpha", -1), ("activation", "relu"), ("solver", "newton")):
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            SigmoidMLPClassifier.from_weights(*weights, [0, 1], **{name: value})
    with pytest.raises(TypeError, match="dense data is required"):
        SigmoidMLPClassifier.from_weights([sparse.csr_array([[1.0]])], [[0.0]], [0, 1])


def test_a_network_without_intercepts_is_one_whether_it_predicts_or_learns():
    X, y = data("binary", np.float64)
    coefs, _ = network((9, 1))
    model = SigmoidMLPClassifier.from_weights(coefs, [[0.0]], [0, 1], fit_intercept=False)
    expected = log_loss(y, model.predict_proba(X))
    assert model.loss_gradients(X, y)[0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="fit_intercept"):
        SigmoidMLPClassifier.from_weights(coefs, [[3.0]], [0, 1], fit_intercept=False)


@pytest.mark.parametrize("kind", ["given to fit", "refit", "part"])
def test_biases_are_not_dropped_in_silence(kind):
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier((2,), max_iter=1, random_state=0).fit(X, y)
    model.set_params(fit_intercept=False, warm_start=kind == "refit")
    initial = {"intercepts_init": model.intercepts_} if kind == "given to fit" else {}
    call = model.partial_fit if kind == "part" else model.fit
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="intercepts must be 0 with fit_intercept=False"):
        call(X, y, **initial)
    assert pickle.dumps(model) == before
    model.intercepts_ = [np.zeros(2), np.zeros(1)]
    call(X, y, **dict.fromkeys(initial, model.intercepts_))
    assert not any(row.any() for row in model.intercepts_)


@kinds
@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
def test_conversion_keeps_all_that_both_have(kind, solver):
    X, y = data(kind, np.float64)
    ours, theirs = both(hidden_layer_sizes=(6,), solver=solver, max_iter=8, random_state=0)
    theirs.fit(X, y)
    ours.fit(X, y)
    for a, b in (
        (SigmoidMLPClassifier.from_sklearn(theirs), theirs),
        (ours.to_sklearn(), ours),
        (SigmoidMLPClassifier.from_sklearn(ours.to_sklearn()), ours),
    ):
        assert_same_predictions(a, b, X)
        assert_same_weights(a, b)
        known = a.get_params().keys() & b.get_params().keys()
        assert all(getattr(a, name) == getattr(b, name) for name in known)
        for name in RECORDS:
            if hasattr(b, name):
                assert getattr(a, name) == getattr(b, name)


def test_records_of_validation_and_feature_names_are_converted():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = data("binary", np.float64)
    frame = pandas.DataFrame(X, columns=list("abcdefghi"))
    ours, theirs = both(max_iter=6, early_stopping=True, random_state=0)
    for model in (
        SigmoidMLPClassifier.from_sklearn(theirs.fit(frame, y)),
        ours.fit(frame, y).to_sklearn(),
    ):
        assert model.validation_scores_ == theirs.validation_scores_ == ours.validation_scores_
        assert model.best_validation_score_ == max(ours.validation_scores_)
        assert list(model.feature_names_in_) == list("abcdefghi")
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[list("ihgfedcba")])
    # scikit-learn does not record it.
    converted = SigmoidMLPClassifier.from_sklearn(theirs)
    assert_array_equal(converted.validation_loss_curve_, [np.nan] * 6)


@kinds
def test_training_goes_on_as_if_nothing_had_been_converted(kind):
    X, y = data(kind, np.float64)
    ours, theirs = both(hidden_layer_sizes=(6,), max_iter=4, random_state=0, **STATELESS)
    for converted, original in (
        (SigmoidMLPClassifier.from_sklearn(theirs.fit(X, y)), theirs),
        (ours.fit(X, y).to_sklearn(), ours),
    ):
        before = converted.coefs_[0].copy()
        assert_same_weights(converted.partial_fit(X, y), original.partial_fit(X, y), rtol=1e-10)
        assert np.abs(converted.coefs_[0] - before).max() > 1e-4
        assert_allclose(converted.loss_curve_, original.loss_curve_, rtol=1e-10)
        assert converted.t_ == original.t_ == 5 * len(X)


def test_early_stopping_that_finds_nothing_better_returns_to_what_was_converted():
    X, y = data("binary", np.float64)
    ours, _ = both(max_iter=6, early_stopping=True, random_state=0)
    mlp = ours.fit(X, y).to_sklearn()
    # No score is as good.
    mlp.best_validation_score_ = 2.0
    mlp.set_params(warm_start=True, max_iter=3).fit(X, y)
    assert_same_weights(mlp, ours)


def test_a_parameter_of_a_subclass_is_left_behind():
    class Named(MLPClassifier):
        def __init__(self, hidden_layer_sizes=(5,), activation="logistic", name="n"):
            super().__init__(hidden_layer_sizes, activation, max_iter=2)
            self.name = name

    X, y = data("binary", np.float64)
    theirs = Named((3,)).fit(X, y)
    converted = SigmoidMLPClassifier.from_sklearn(theirs)
    assert_same_predictions(converted, theirs, X)
    assert converted.hidden_layer_sizes == (3,)


@kinds
def test_descent_goes_on_from_where_lbfgs_was_converted(kind):
    """After L-BFGS, MLPClassifier itself cannot: it has no loss_curve_ to add to."""
    X, y = data(kind, np.float64)
    ours, theirs = both(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=9, random_state=0)
    converted = SigmoidMLPClassifier.from_sklearn(theirs.fit(X, y)).set_params(**STATELESS)
    ours.fit(X, y).set_params(**STATELESS)
    assert_same_weights(converted.partial_fit(X, y), ours.partial_fit(X, y), rtol=1e-8)
    assert len(converted.loss_curve_) == 1
    theirs = ours.to_sklearn()
    assert_same_weights(theirs.partial_fit(X, y), ours.partial_fit(X, y), rtol=1e-10)


@kinds
def test_given_weights_are_trained_as_scikit_learn_trains_them(kind):
    X, y = data(kind, np.float64)
    n_outputs, classes = CLASSES[kind]
    model = SigmoidMLPClassifier.from_weights(*network((9, 5, n_outputs)), classes, **STATELESS)
    mlp = scikit_learns(kind, (5,), **STATELESS)
    assert_same_weights(model.partial_fit(X, y), mlp.partial_fit(X, y), rtol=1e-10)


def test_two_estimators_converted_into_each_other_share_nothing():
    X, y = data("binary", np.float64)
    ours, theirs = both(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
    pairs = (
        (SigmoidMLPClassifier.from_sklearn(theirs.fit(X, y)), theirs),
        (ours.fit(X, y).to_sklearn(), ours),
    )
    for converted, original in pairs:
        for kept, changed in ((converted, original), (original, converted)):
            before, n_epochs = kept.predict_proba(X), len(kept.loss_curve_)
            changed.partial_fit(X, y)
            assert_array_equal(kept.predict_proba(X), before)
            assert len(kept.loss_curve_) == n_epochs


def test_what_has_no_counterpart_is_an_error():
    X, y = data("multiclass", np.float64)
    with pytest.raises(ValueError, match="activation='relu'"):
        SigmoidMLPClassifier.from_sklearn(MLPClassifier((3,), max_iter=1).fit(X, y))
    linear = MLPClassifier((), activation="tanh", max_iter=1).fit(X, y)
    assert_same_predictions(SigmoidMLPClassifier.from_sklearn(linear), linear, X)
    with pytest.raises(NotFittedError):
        SigmoidMLPClassifier.from_sklearn(MLPClassifier(activation="logistic"))
    for other in (MLPRegressor(activation="logistic"), LogisticRegression()):
        with pytest.raises(TypeError, match="must be an MLPClassifier"):
            SigmoidMLPClassifier.from_sklearn(other)
    with pytest.raises(NotFittedError):
        SigmoidMLPClassifier().to_sklearn()
    squared = SigmoidMLPClassifier((3,), loss="squared_error", max_iter=1)
    with pytest.raises(ValueError, match="cannot represent"):
        squared.fit(X, y).to_sklearn()
    # With a single output the network is the same.
    assert_same_predictions(squared.fit(X, y < 2).to_sklearn(), squared, X)


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"solver": "rprop"}, EARLY], ids=str)
def test_to_sklearn_sets_nothing_that_its_class_has_not(settings):
    X, y = data("multiclass", np.float64)
    theirs = MLPClassifier((3,), max_iter=2, **EARLY).fit(X, y)
    mlp = SigmoidMLPClassifier((3,), max_iter=2, **settings).fit(X, y).to_sklearn()
    assert vars(mlp).keys() <= vars(theirs).keys()
    # It can train on, whatever our solver was.
    mlp.fit(X, y)
