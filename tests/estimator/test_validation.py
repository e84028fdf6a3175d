"""A validation set of the user's own: what is recorded, and what is stopped by it."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .._support.parity import data

# Most tests ask for a number of epochs and get it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.thorough,
]

KINDS = ("binary", "multiclass", "multilabel")
# Learns 120 samples by heart, and gets worse on others.
OVERFIT = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.05, "random_state": 0}
ROUTED = {"sample_weight": True, "X_val": True, "y_val": True, "sample_weight_val": True}

kinds = pytest.mark.parametrize("kind", KINDS)


def samples(kind: str) -> tuple[Any, Any, dict[str, Any]]:
    """Return 120 samples to train on, and the others to validate on, with weights."""
    X, y = data(kind, np.float64)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(X) - 120)
    return X[:120], y[:120], {"X_val": X[120:], "y_val": y[120:], "sample_weight_val": weights}


def assert_same_network(a: Any, b: Any) -> None:
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert_array_equal(one, other)


def mean_loss(model: Any, X: Any, y: Any, weights: Any) -> float:
    """Return the mean loss of samples by scikit-learn's metric, or by its definition."""
    p = model.predict_proba(X)
    if model.loss == "log_loss":
        if p.shape == y.shape:
            return sum(
                log_loss(*column, sample_weight=weights) for column in zip(y.T, p.T, strict=True)
            )
        return log_loss(y, p, sample_weight=weights)
    outputs = model.activations(X)[-1]
    targets = y if y.ndim == 2 else (y[:, None] == model.classes_[-outputs.shape[1] :])
    return np.average(((outputs - targets) ** 2).sum(axis=1), weights=weights)


@kinds
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop", "lbfgs"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_curves_are_those_of_models_trained_so_far(kind, solver, loss):
    X, y, held_out = samples(kind)
    parameters = OVERFIT | {"solver": solver, "loss": loss}
    model = SigmoidMLPClassifier(max_iter=12, **parameters).fit(X, y, **held_out)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 12
    X_val, y_val, weights = held_out.values()
    for k in (1, 2, 12):
        stopped = SigmoidMLPClassifier(max_iter=k, **parameters).fit(X, y)
        expected = mean_loss(stopped, X_val, y_val, weights)
        assert model.validation_loss_curve_[k - 1] == pytest.approx(expected, rel=1e-9)
        expected = stopped.score(X_val, y_val, sample_weight=weights)
        assert model.validation_scores_[k - 1] == pytest.approx(expected, rel=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(set(model.validation_scores_)) > 2


@kinds
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_recording_changes_no_bit_of_the_training(kind, solver):
    X, y, held_out = samples(kind)
    parameters = OVERFIT | {"solver": solver, "max_iter": 40}
    recorded = SigmoidMLPClassifier(**parameters).fit(X, y, **held_out)
    alone = SigmoidMLPClassifier(**parameters).fit(X, y)
    assert_same_network(recorded, alone)
    assert recorded.loss_curve_ == alone.loss_curve_
    assert recorded.n_iter_ == alone.n_iter_
    assert recorded.best_loss_ == alone.best_loss_ == min(alone.loss_curve_)
    assert alone.validation_loss_curve_ is alone.validation_scores_ is None
    assert alone.best_validation_score_ is None


def recall_of_the_first(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return how much of the first class is found: a scorer of the user's own."""
    first = y == estimator.classes_[0]
    return float(np.average(estimator.predict(X[first]) == y[first], weights=sample_weight[first]))


@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc", "f1", recall_of_the_first])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_training_stops_by_a_score_and_keeps_its_best_weights(solver, scoring):
    X, y, held_out = samples("binary")
    parameters = OVERFIT | {"solver": solver, "tol": 1e-3, "n_iter_no_change": 5, "batch_size": 20}
    if solver == "lbfgs":
        # So that it goes on for longer.
        parameters |= {"tol": 1e-9, "alpha": 0.0}
    model = SigmoidMLPClassifier(
        early_stopping=True, scoring=scoring, max_iter=500, **parameters
    ).fit(X, y, **held_out)
    scores, best, waited = model.validation_scores_, -np.inf, [0]
    for score in scores:
        waited.append(waited[-1] + 1 if score < best + parameters["tol"] else 0)
        best = max(best, score)
    assert waited[-1] == 6 > max(waited[:-1])
    assert model.best_validation_score_ == best
    assert model.best_loss_ is None
    n_best = int(np.argmax(scores)) + 1
    assert n_best < model.n_iter_ == len(scores) < 500
    shorter = SigmoidMLPClassifier(max_iter=n_best, **parameters).fit(X, y)
    assert_same_network(model, shorter)
    X_val, y_val, weights = held_out.values()
    if scoring == "loss":
        assert scores == [-loss for loss in model.validation_loss_curve_]
        return
    scorer = scoring if callable(scoring) else get_scorer(scoring or "accuracy")
    expected = scorer(shorter, X_val, y_val, sample_weight=weights)
    assert best == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "scoring"), [("multiclass", "roc_auc_ovr"), ("multilabel", "f1_macro")]
)
def test_more_outputs_are_scored_as_scikit_learn_scores_them(kind, scoring):
    X, y, held_out = samples(kind)
    model = SigmoidMLPClassifier(early_stopping=True, scoring=scoring, max_iter=30, **OVERFIT)
    model.fit(X, y, **held_out)
    X_val, y_val, weights = held_out.values()
    expected = get_scorer(scoring)(model, X_val, y_val, sample_weight=weights)
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    without = held_out | {"sample_weight_val": None}
    model.fit(X, y, **without)
    expected = get_scorer(scoring)(model, X_val, y_val)
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-12)


def test_a_given_set_takes_the_place_of_the_split():
    """All samples are trained on, in the order of a fit without validation."""
    X, y, held_out = samples("binary")
    parameters = OVERFIT | {"max_iter": 3, "n_iter_no_change": np.inf, "scoring": "loss"}
    model = SigmoidMLPClassifier(early_stopping=True, **parameters).fit(X, y, **held_out)
    alone = SigmoidMLPClassifier(**parameters).fit(X, y)
    assert model.t_ == alone.t_ == 3 * len(X)
    assert model.loss_curve_ == alone.loss_curve_


def test_messages_are_those_of_gradient_boosting():
    X, y, held_out = samples("binary")
    X_val, y_val, _ = held_out.values()
    calls = {
        "X_val is provided, but y_val was not provided.": {"X_val": X_val},
        "y_val is provided, but X_val was not provided.": {"y_val": y_val},
    }
    boosting = HistGradientBoostingClassifier(early_stopping=True, max_iter=1)
    for message, given in calls.items():
        models = [SigmoidMLPClassifier()]
        # scikit-learn has them from 1.8 on.
        if "X_val" in inspect.signature(boosting.fit).parameters:
            models.append(boosting)
        for model in models:
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                model.fit(X, y, **given)
    with pytest.raises(ValueError, match="sample_weight_val is provided, but X_val was not"):
        SigmoidMLPClassifier().fit(X, y, sample_weight_val=np.ones(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_val": np.full(110, 2)}, r"classes not in `self.classes_`.*\[0 1\].*\[2\]"),
        ({"y_val": np.zeros(109, int)}, "inconsistent numbers of samples"),
        ({"X_val": np.zeros((110, 8))}, "8 features, but SigmoidMLPClassifier is expecting 9"),
        ({"X_val": np.full((110, 9), np.nan)}, "NaN"),
        ({"sample_weight_val": np.ones(109)}, "sample_weight.shape"),
        ({"sample_weight_val": np.zeros(110)}, "at least one non-zero number"),
    ],
)
def test_a_bad_validation_set_changes_nothing(change, message):
    X, y, held_out = samples("binary")
    model = SigmoidMLPClassifier(max_iter=1, **OVERFIT).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **held_out | change)
    assert vars(model) == before


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("trains_sparse", [False, True])
def test_sparse_validation_gives_the_bits_of_dense(container, trains_sparse):
    X, y, held_out = samples("multiclass")
    X, X_val = (np.where(np.abs(part) > 1, part, 0.0) for part in (X, held_out["X_val"]))
    parameters = OVERFIT | {"early_stopping": True, "scoring": "roc_auc_ovr", "max_iter": 8}
    dense, thin = (SigmoidMLPClassifier(**parameters) for _ in range(2))
    dense.fit(X, y, **held_out | {"X_val": X_val})
    thin.fit(container(X) if trains_sparse else X, y, **held_out | {"X_val": container(X_val)})
    assert thin.validation_loss_curve_ == dense.validation_loss_curve_
    assert thin.validation_scores_ == dense.validation_scores_
    assert_same_network(thin, dense)


@pytest.mark.parametrize("scoring", [None, "roc_auc"])
def test_data_frames_are_validated_without_a_warning(scoring):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y, held_out = samples("binary")
    frame, frame_val = (
        pandas.DataFrame(part, columns=list("abcdefghi")) for part in (X, held_out["X_val"])
    )
    parameters = OVERFIT | {"early_stopping": True, "scoring": scoring, "max_iter": 4}
    model = SigmoidMLPClassifier(**parameters).fit(frame, y, **held_out | {"X_val": frame_val})
    expected = SigmoidMLPClassifier(**parameters).fit(X, y, **held_out)
    assert model.validation_scores_ == expected.validation_scores_
    assert list(model.feature_names_in_) == list("abcdefghi")
    with pytest.raises(ValueError, match="feature names"):
        model.fit(frame, y, **held_out | {"X_val": frame_val[list("ihgfedcba")]})


def test_metadata_is_routed_through_a_pipeline():
    """`X_val` goes through the same scaler as X."""
    X, y, held_out = samples("binary")
    shifted, weights = 5.0 + 3.0 * X, np.linspace(0.1, 1.0, len(X))
    given = held_out | {"X_val": 5.0 + 3.0 * held_out["X_val"], "sample_weight": weights}
    parameters = OVERFIT | {"early_stopping": True, "scoring": "loss", "max_iter": 30}
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = SigmoidMLPClassifier(**parameters).set_fit_request(**ROUTED)
        steps: list[tuple[str, BaseEstimator]] = [("scale", scaler), ("network", model)]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(shifted, y, **given)
    scaler = StandardScaler().fit(shifted)
    given["X_val"] = scaler.transform(given["X_val"])
    expected = SigmoidMLPClassifier(**parameters).fit(scaler.transform(shifted), y, **given)
    assert_same_network(pipeline[-1], expected)
    assert pipeline[-1].validation_loss_curve_ == expected.validation_loss_curve_
    assert expected.n_iter_ > 1


def test_weights_are_routed_by_a_grid_search():
    X, y, _ = samples("binary")
    weights = np.where(y == 0, 1.0, 0.05)
    parameters = OVERFIT | {"max_iter": 20}
    splits = StratifiedKFold(2)
    with config_context(enable_metadata_routing=True):
        model = SigmoidMLPClassifier(**parameters).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        grid = {"alpha": [1e-4, 10.0]}
        search = GridSearchCV(model, grid, cv=splits).fit(X, y, sample_weight=weights)
    for alpha, score in zip(grid["alpha"], search.cv_results_["split0_test_score"], strict=True):
        train, test = next(splits.split(X, y))
        model = SigmoidMLPClassifier(alpha=alpha, **parameters)
        model.fit(X[train], y[train], weights[train])
        assert score == pytest.approx(model.score(X[test], y[test], weights[test]), rel=1e-12)
    best = SigmoidMLPClassifier(**search.best_params_, **parameters).fit(X, y, weights)
    assert_same_network(search.best_estimator_, best)
    unweighted = SigmoidMLPClassifier(**search.best_params_, **parameters).fit(X, y)
    assert np.mean(best.predict(X) == 0) > np.mean(unweighted.predict(X) == 0)


def test_labels_may_be_strings_and_of_few_classes():
    X, y, held_out = samples("multiclass")
    names = np.array(["blue", "green", "red", "white"])
    few = held_out["y_val"] < 2
    given = {"X_val": held_out["X_val"][few], "y_val": held_out["y_val"][few]}
    parameters = OVERFIT | {"early_stopping": True, "max_iter": 6}
    numbered = SigmoidMLPClassifier(**parameters).fit(X, y, **given)
    given["y_val"] = names[given["y_val"]]
    named = SigmoidMLPClassifier(**parameters).fit(X, names[y], **given)
    assert named.validation_scores_ == numbered.validation_scores_
    assert named.validation_loss_curve_ == numbered.validation_loss_curve_


def test_a_warm_fit_adds_to_the_curves():
    X, y, held_out = samples("binary")
    parameters = OVERFIT | {"shuffle": False, "scoring": "loss"}
    model = SigmoidMLPClassifier(warm_start=True, max_iter=3, **parameters).fit(X, y, **held_out)
    model.fit(X, y, **held_out)
    at_once = SigmoidMLPClassifier(max_iter=6, **parameters).fit(X, y, **held_out)
    assert model.validation_loss_curve_ == at_once.validation_loss_curve_
    assert model.best_validation_score_ == -min(at_once.validation_loss_curve_)
    assert model.fit(X, y).validation_loss_curve_ is None
