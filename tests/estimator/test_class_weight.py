"""Weights of classes: the same as weights of their samples."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from fastnet import SigmoidMLPClassifier

from .._support.parity import data

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("binary", "multiclass", "multilabel")
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0}
DICTS: dict[str, Any] = {
    "binary": {0: 0.25, 1: 3.0},
    "multiclass": {0: 1.0, 1: 0.0, 2: 5.0, 3: 0.5},
    "multilabel": [{0: 1.0, 1: 4.0}, {0: 0.5, 1: 1.0}, {0: 1.0, 1: 0.1}],
}

kinds = pytest.mark.parametrize("kind", KINDS)


def samples(kind: str, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Return samples of which the first classes have most."""
    X, y = data(kind, dtype)
    kept = np.flatnonzero((y.reshape(len(y), -1)[:, 0] == 0) | (np.arange(len(y)) % 3 == 0))
    return X[kept], y[kept]


def assert_same_training(a: Any, b: Any, rtol: float = 0.0) -> None:
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert_allclose(one, other, rtol=rtol, atol=rtol)
    assert_allclose(a.loss_curve_, b.loss_curve_, rtol=rtol)


def differ(a: Any, b: Any) -> bool:
    return bool(np.abs(a.coefs_[0] - b.coefs_[0]).max() > 1e-4)


@kinds
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_class_weighs_what_its_samples_would(kind, balanced, dtype, solver):
    X, y = samples(kind, dtype)
    class_weight = "balanced" if balanced else DICTS[kind]
    parameters = SMALL | {"solver": solver}
    model = SigmoidMLPClassifier(class_weight=class_weight, **parameters).fit(X, y)
    weights = compute_sample_weight(class_weight, y)
    assert_same_training(model, SigmoidMLPClassifier(**parameters).fit(X, y, weights))
    assert differ(model, SigmoidMLPClassifier(**parameters).fit(X, y))


@kinds
@pytest.mark.parametrize("balanced", [False, True])
def test_weights_of_class_and_sample_are_multiplied(kind, balanced):
    X, y = samples(kind)
    class_weight = "balanced" if balanced else DICTS[kind]
    own = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    model = SigmoidMLPClassifier(class_weight=class_weight, **SMALL).fit(X, y, own)
    weights = own * compute_sample_weight(class_weight, y)
    assert_same_training(model, SigmoidMLPClassifier(**SMALL).fit(X, y, weights))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.25, 1: 3.0}])
def test_without_hidden_layers_it_is_weighted_logistic_regression(class_weight):
    X, y = samples("binary")
    model = SigmoidMLPClassifier(
        (), solver="lbfgs", alpha=2.0, tol=1e-8, max_iter=2000, class_weight=class_weight
    ).fit(X, y)
    linear = LogisticRegression(C=0.5, class_weight=class_weight, tol=1e-8, max_iter=2000)
    assert_allclose(model.predict_proba(X), linear.fit(X, y).predict_proba(X), atol=1e-4)


def test_twice_the_weight_is_twice_the_sample():
    """As in a fit on a copy of the first class, in one batch."""
    X, y = samples("binary")
    first = y == 0
    parameters = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "max_iter": 5, "random_state": 0}
    weighted = SigmoidMLPClassifier(class_weight={0: 2.0}, **parameters).fit(X, y)
    X, y = np.vstack([X, X[first]]), np.append(y, y[first])
    assert_same_training(weighted, SigmoidMLPClassifier(**parameters).fit(X, y), rtol=1e-9)


def test_labels_may_be_strings_and_y_a_column_or_sparse():
    X, y = samples("binary")
    expected = SigmoidMLPClassifier(class_weight=DICTS["binary"], **SMALL).fit(X, y)
    names = np.array(["no", "yes"])
    weights = {"no": 0.25, "yes": 3.0}
    named = SigmoidMLPClassifier(class_weight=weights, **SMALL).fit(X, names[y])
    assert_same_training(named, expected)
    X, y = samples("multilabel")
    for class_weight in (DICTS["multilabel"], "balanced"):
        model = SigmoidMLPClassifier(class_weight=class_weight, **SMALL)
        dense = SigmoidMLPClassifier(class_weight=class_weight, **SMALL).fit(X, y)
        assert_same_training(model.fit(X, sparse.csr_matrix(y)), dense)


@kinds
def test_parts_of_the_samples_are_weighted_by_a_dict(kind):
    X, y = samples(kind)
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    weighted = SigmoidMLPClassifier(class_weight=DICTS[kind], **SMALL)
    expected = SigmoidMLPClassifier(**SMALL)
    for part in (slice(0, 60), slice(60, 100)):
        weighted.partial_fit(X[part], y[part], classes=classes)
        weights = compute_sample_weight(DICTS[kind], y[part])
        expected.partial_fit(X[part], y[part], weights, classes=classes)
    assert_same_training(weighted, expected)


def test_a_part_may_lack_a_class_that_has_a_weight():
    X, y = samples("binary")
    weighted = SigmoidMLPClassifier(class_weight={0: 1.0, 1: 9.0}, **SMALL)
    expected = SigmoidMLPClassifier(**SMALL)
    for label in (0, 1):
        X_part, y_part = X[y == label], y[y == label]
        weights = np.full(len(y_part), 9.0**label)
        weighted.partial_fit(X_part, y_part, classes=[0, 1])
        expected.partial_fit(X_part, y_part, weights, classes=[0, 1])
    assert_same_training(weighted, expected)


def test_parts_cannot_be_balanced():
    X, y = samples("binary")
    model = SigmoidMLPClassifier(class_weight="balanced", **SMALL)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        model.partial_fit(X, y, classes=[0, 1])
    assert not hasattr(model, "coefs_")
    # What the message advises.
    weights = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
    advised = SigmoidMLPClassifier(class_weight=dict(enumerate(weights)), **SMALL)
    advised.partial_fit(X, y, classes=[0, 1])
    expected = SigmoidMLPClassifier(**SMALL).partial_fit(
        X, y, compute_sample_weight("balanced", y), classes=[0, 1]
    )
    assert_same_training(advised, expected, rtol=1e-12)


def test_samples_set_aside_are_weighted_too():
    X, y = samples("binary")
    parameters = SMALL | {"early_stopping": True, "learning_rate_init": 0.05}
    weights = compute_sample_weight(DICTS["binary"], y)
    split = SigmoidMLPClassifier(class_weight=DICTS["binary"], **parameters).fit(X, y)
    expected = SigmoidMLPClassifier(**parameters).fit(X, y, weights)
    assert split.validation_loss_curve_ == expected.validation_loss_curve_
    assert split.validation_scores_ == expected.validation_scores_
    given = SigmoidMLPClassifier(class_weight=DICTS["binary"], **parameters)
    given.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    p = given.predict_proba(X[80:])
    best = int(np.argmax(given.validation_scores_))
    expected_loss = log_loss(y[80:], p, sample_weight=weights[80:])
    assert given.validation_loss_curve_[best] == pytest.approx(expected_loss, rel=1e-9)


def test_gradients_of_the_loss_are_weighted():
    X, y = samples("binary")
    model = SigmoidMLPClassifier(class_weight=DICTS["binary"], **SMALL).fit(X, y)
    own = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    weights = own * compute_sample_weight(DICTS["binary"], y)
    loss, coef_gradients, _ = model.loss_gradients(X, y, own)
    assert loss == pytest.approx(log_loss(y, model.predict_proba(X), sample_weight=weights))
    model.set_params(class_weight=None)
    assert_array_equal(model.loss_gradients(X, y, weights)[1][0], coef_gradients[0])


@pytest.mark.parametrize(
    ("kind", "class_weight", "message"),
    [
        ("binary", {0: 0.0, 1: 0.0}, "at least one non-zero number"),
        ("binary", {0: 1.0, 7: 2.0}, r"classes, \[1\], are not in class_weight"),
        ("binary", [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 1.0}], "class_weight"),
        ("binary", "even", "'class_weight' parameter"),
        ("multilabel", {0: 1.0, 1: 2.0}, "should be a list of dicts"),
        ("multilabel", [{0: 1.0, 1: 2.0}], "should match number of outputs"),
    ],
)
def test_bad_weights_of_classes(kind, class_weight, message):
    X, y = samples(kind)
    model = SigmoidMLPClassifier(class_weight=class_weight, **SMALL)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_no_sample_may_be_left_by_the_weights_of_both():
    X, y = samples("binary")
    model = SigmoidMLPClassifier(class_weight={0: 1.0, 1: 0.0}, **SMALL)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        model.fit(X, y, sample_weight=(y == 1).astype(float))
    with pytest.raises(ValueError, match="at least one non-zero number"):
        model.partial_fit(X[y == 1], y[y == 1], classes=[0, 1])
    assert not hasattr(model, "coefs_")
