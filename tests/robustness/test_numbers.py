"""Numbers of any size: finite results or a clear error, and never a warning of numpy's.

All of it with ``numpy.errstate(all="raise")``, and every warning is an error.
"""

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fastnet import SigmoidMLPClassifier

pytestmark = pytest.mark.thorough

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 3
LABELS = {"binary": y > 0, "multiclass": y, "multilabel": np.eye(3, dtype=int)[y]}
CAUSES = ": standardise the features"

solvers = pytest.mark.parametrize("solver", ["adam", "sgd", "rprop", "lbfgs"])
losses = pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
kinds = pytest.mark.parametrize("kind", LABELS)


@pytest.fixture(autouse=True)
def no_number_is_passed_over():
    with np.errstate(all="raise"), warnings.catch_warnings():
        # Of few epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def small(**parameters: Any) -> SigmoidMLPClassifier:
    shared = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
    return SigmoidMLPClassifier(**shared | parameters)


def assert_sane(model: Any, X: Any, y: Any) -> None:
    """Assert that everything an estimator gives is finite, and probabilities are ones."""
    p = model.predict_proba(X)
    assert ((p >= 0) & (p <= 1)).all()
    if y.ndim == 1:
        eps = float(np.finfo(p.dtype).eps)
        assert_allclose(p.sum(axis=1, dtype=float), 1.0, rtol=4 * eps * p.shape[1])
        assert set(model.predict(X)) <= set(model.classes_)
    coefs, intercepts = model.sample_gradients(X, y)
    loss, *gradients = model.loss_gradients(X, y)
    results = [
        p, model.decision_function(X), model.input_gradients(X), model.predict_log_proba(X),
        *model.activations(X), *coefs, *intercepts, loss, *gradients[0], *gradients[1],
        *model.coefs_, *model.intercepts_, *model.loss_curve_,
    ]  # fmt: skip
    assert all(np.isfinite(result).all() for result in results)
    assert 0 <= model.score(X, y) <= 1


def trained(model: Any, X: Any, y: Any, *weights: Any, **more: Any) -> Any:
    """Train, also in part, and predict; return the model, or None if it said what is wrong."""
    try:
        model.fit(X, y, *weights, **more)
        if model.solver != "lbfgs" and not model.early_stopping:
            model.partial_fit(X, y, *weights)
    except ValueError as error:
        if CAUSES in str(error):
            return None
        raise
    assert_sane(model, X, y)
    return model


FEATURES = {
    "zeros": 0 * X,
    "minus zeros": -0.0 * np.abs(X),
    "constants": 0 * X + 3.7,
    "whole numbers": (1e18 * X).astype(np.int64),
    "tiny": 1e-300 * X,
    "subnormal": 1e-310 * X,
    "subnormal in float32": (1e-40 * X).astype(np.float32),
    "of all sizes": X * [1e300, 1e-300, 1.0, 0.0],
    "large": 1e100 * X,
    "huge": 1e300 * X,
    "the largest": np.sign(X) * np.finfo(float).max,
    "large in float32": (1e30 * X).astype(np.float32),
    "the largest in float32": np.sign(X).astype(np.float32) * np.finfo(np.float32).max,
}


@pytest.mark.parametrize("name", FEATURES)
@solvers
def test_features_of_every_size(name, solver):
    for loss in ("log_loss", "squared_error"):
        for labels in LABELS.values():
            model = trained(small(solver=solver, loss=loss), FEATURES[name], labels)
            # Sigmoids saturate, so that only what is as large as can be may be refused.
            assert model is not None or "largest" in name or "huge" in name


@dtypes
@solvers
@losses
def test_few_samples_features_and_labels(dtype, solver, loss):
    features = X.astype(dtype)
    model = {"solver": solver, "loss": loss}
    for samples in (
        (features[:1], np.array([1])), (features[:2], np.array([0, 1])),
        (features[:, :1], y), (features[:, :1] * 0, y), (features, 0 * y),
        (features, np.full(60, "a")), (features, 0 * LABELS["multilabel"]),
        (features, 0 * LABELS["multilabel"] + 1),
    ):  # fmt: skip
        assert trained(small(**model), *samples)
    assert trained(small(early_stopping=True, **model), features, 0 * y)
    # All of a batch are of one class.
    for labels in (np.sort(y), np.sort(y) > 0):
        assert trained(small(shuffle=False, batch_size=10, **model), features, labels)
    # Units that are alike, and stay so.
    coefs = [np.zeros((4, 5)), np.zeros((5, 3))]
    alike = trained(small(**model, fit_intercept=False), features, y, coefs_init=coefs)
    assert np.ptp(alike.coefs_[0], axis=1).max() < 1e-6


EXTREMES = {
    "alpha": [0.0, 5e-324, 1e30, 1e300], "learning_rate_init": [5e-324, 1e-300, 1e30, 1e300],
    "momentum": [0.0, 1.0], "beta_1": [0.0, 1 - 1e-16], "beta_2": [0.0, 1 - 1e-16],
    "epsilon": [5e-324, 1e-300, 1e300], "tol": [0.0, 5e-324, 1e300],
    "power_t": [0.0, 100.0, 1e3, 1e300], "n_iter_no_change": [1, np.inf],
    "max_grad_norm": [5e-324, 1e-300, 1e300], "max_fun": [1], "batch_size": [1, 2, 59],
    "validation_fraction": [0.05, 0.5, 0.9],
}  # fmt: skip
ONLY = {
    "momentum": ["sgd"], "power_t": ["sgd"], "beta_1": ["adam"], "beta_2": ["adam"],
    "epsilon": ["adam"], "max_fun": ["lbfgs"],
}  # fmt: skip


@dtypes
@pytest.mark.parametrize("name", EXTREMES)
def test_parameters_of_every_size(name, dtype):
    for value in EXTREMES[name]:
        for solver in ONLY.get(name, ["adam", "sgd", "rprop", "lbfgs"]):
            more = {"power_t": {"learning_rate": "invscaling"}}.get(name, {})
            if name == "validation_fraction":
                more = {"early_stopping": True}
            for labels in LABELS.values():
                model = small(solver=solver, **more | {name: value})
                done = trained(model, X.astype(dtype), labels)
                assert done is not None or name in ("alpha", "learning_rate_init")


WEIGHTS = {
    "tiny": (1e-300, 1e-300), "subnormal": (1e-310, 1e-310), "small and large": (1e-300, 1e300),
    "large": (1e300, 1e300), "huge": (1.7e308, 1.7e308), "some zero": (0.0, 1.0),
    "some negative": (-0.5, 1.0), "balanced": (-1.0, 1.0),
}  # fmt: skip
REFUSALS = (CAUSES, "non-zero", "too large", "must not add up to zero")


@dtypes
@solvers
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_every_size(name, solver, dtype):
    weights = np.where(np.arange(60) % 4 < 2, *WEIGHTS[name])
    of_classes = dict(enumerate([*WEIGHTS[name], 1.0]))
    for early_stopping in (False, True):
        model = {"solver": solver, "early_stopping": early_stopping}
        for more, given in (({}, [weights]), ({"class_weight": of_classes}, [])):
            try:
                small(**model, **more).fit(X.astype(dtype), y, *given)
            except ValueError as error:
                if not any(words in str(error) for words in REFUSALS):
                    raise


def test_what_makes_weights_too_large_is_named():
    huge = np.full(60, 1e300)
    with pytest.raises(ValueError, match="Input class_weight contains infinity"):
        small(class_weight={0: 1e300, 1: 1.0, 2: 1.0}).fit(X, y, huge)
    with pytest.raises(ValueError, match=r"Input sample_weight contains infinity.*float32"):
        small().fit(X.astype(np.float32), y, huge)
    with pytest.raises(ValueError, match=r"Input class_weight contains infinity.*float32"):
        small(class_weight={0: 1e300, 1: 1.0, 2: 1.0}).fit(X.astype(np.float32), y)
    weights = np.tile([1.0, -1.0], 30)
    with pytest.raises(ValueError, match="Sample weights of a validation set must not add up"):
        small().fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


@dtypes
@solvers
def test_initial_weights_of_every_size(dtype, solver):
    largest = float(np.finfo(dtype).max)
    for size in (5e-324, 1e-300, 1e30, 1e38, largest):
        coefs = [np.full((4, 5), size), np.full((5, 3), -size)]
        trained(small(solver=solver), X.astype(dtype), y, coefs_init=coefs)
    too_large = [np.full((4, 5), 2 * np.longdouble(largest)), np.zeros((5, 3))]
    with pytest.raises(ValueError, match="must be finite"):
        small(solver=solver).fit(X.astype(dtype), y, coefs_init=too_large)


TOO_LARGE = r"infinity or a value too large for dtype\('float32'\)"


def test_features_beyond_float32():
    model = small().fit(X.astype(np.float32), y)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function",
                   "activations", "input_gradients"):  # fmt: skip
        for n_times in (1, 1000):
            large = np.tile(X, (n_times, 1))
            large[-1] = 1e300
            with pytest.raises(ValueError, match=TOO_LARGE):
                getattr(model, method)(large)
            getattr(model, method)(1e-300 * large[:-1])
    for method in ("partial_fit", "sample_gradients", "loss_gradients", "score"):
        with pytest.raises(ValueError, match=TOO_LARGE):
            getattr(model, method)(1e300 * X, y)
        getattr(model, method)(1e-300 * X, y)
    # Where the float64 do not add up either.
    both_ways = np.where(np.arange(240).reshape(60, 4) % 2, 1e308, -1e308)
    with pytest.raises(ValueError, match=TOO_LARGE):
        model.predict(both_ways)


def test_a_validation_set_of_every_size():
    for dtype, size in ((np.float32, 1e38), (np.float64, 1e307)):
        for solver in ("adam", "lbfgs"):
            model = small(solver=solver, early_stopping=True, scoring="loss")
            model.fit(X.astype(dtype), y, X_val=(size * np.sign(X)).astype(dtype), y_val=y)
            assert np.isfinite(model.validation_loss_curve_).all()


LOGITS = [0.0, 5e-324, 1e-40, 1.0, 17.5, 37.0, 88.0, 89.0, 104.0, 710.0, 746.0, 1e3, 1e30, 3e38]


def constant(logits: Any, dtype: Any, classes: Any, loss: str) -> SigmoidMLPClassifier:
    """Return a network of these logits, whatever the features."""
    coefs = [np.zeros((4, 2), dtype), np.zeros((2, len(logits)), dtype)]
    intercepts = [np.zeros(2, dtype), np.array(logits, dtype)]
    return SigmoidMLPClassifier.from_weights(coefs, intercepts, classes, loss=loss)


def logistic(z: float) -> tuple[float, float]:
    """Return a probability and its logarithm, rounded once."""
    with mpmath.workdps(50):
        p = 1 / (1 + mpmath.exp(-mpmath.mpf(z)))
        log_p = -mpmath.log1p(mpmath.exp(-mpmath.mpf(z))) if z > -1e4 else mpmath.mpf(z)
        return float(p), float(log_p)


def rounded(values: Any, dtype: Any) -> Any:
    """Return numbers in a type, 0 where they are less than it has."""
    with np.errstate(under="ignore"):
        return np.array(values, float).astype(dtype)


@np.errstate(under="ignore")
def assert_close(actual: Any, expected: Any) -> None:
    limits = np.finfo(actual.dtype)
    assert_allclose(actual, expected, rtol=8 * float(limits.eps), atol=2 * float(limits.tiny))


def odds(logits: list[float]) -> list[float]:
    """Return each logit less the logarithm of the sum of the others' exponentials."""
    with mpmath.workdps(50):
        z = [mpmath.mpf(logit) for logit in logits]
        largest = [max(z[:k] + z[k + 1 :]) for k in range(len(z))]
        sums = [
            sum(mpmath.exp(max(z[j] - most, -(10**6))) for j in range(len(z)) if j != k)
            for k, most in enumerate(largest)
        ]
        return [float(z[k] - largest[k] - mpmath.log(sums[k])) for k in range(len(z))]


@dtypes
@pytest.mark.parametrize("size", [*LOGITS, 1e308])
def test_log_odds_of_logits_of_every_size(dtype, size):
    """Beside 50 digits; what is beyond the largest number is that number."""
    largest = float(np.finfo(dtype).max)
    if size > largest:
        pytest.skip("float32 has no such number")
    size = float(rounded(size, dtype))
    for logits in ([size, -size, 0.0], [size, size, -size, 1.0], [-size, 2.0, 3.0, 1.0, -1.0]):
        model = constant(logits, dtype, list(range(len(logits))), "log_loss")
        expected = np.clip(odds(logits), -largest, largest)
        found = model.decision_function(X)
        eps = float(np.finfo(dtype).eps)
        assert_allclose(found[-1], expected, rtol=8 * eps, atol=8 * eps)
        assert_array_equal(found.argmax(axis=1), model.predict(X))
        assert_array_equal(model.decision_function(X[:1]), found[:1])


@dtypes
@losses
@pytest.mark.parametrize("size", [*LOGITS, 1e300, 1e308])
def test_logits_of_every_size(dtype, loss, size):
    """Beside 50 digits."""
    largest = float(np.finfo(dtype).max)
    if size > largest:
        pytest.skip("float32 has no such number")
    size = float(rounded(size, dtype))
    for z in (size, -size):
        p, log_p = np.transpose([logistic(-z), logistic(z)])
        model = constant([z], dtype, [0, 1], loss)
        assert_close(model.predict_proba(X)[0], rounded(p, dtype))
        assert_close(model.predict_log_proba(X)[0], rounded(log_p, dtype))
        multilabel = constant([z, -z, z], dtype, None, loss)
        expected = rounded([p[1], p[0], p[1]], dtype)
        assert_close(multilabel.predict_proba(X)[0], expected)
        multiclass = constant([z, -z, 0.0], dtype, [0, 1, 2], loss)
        sizes = [multiclass.predict_proba(X), multiclass.predict_proba(X[:1])]
        assert_array_equal(sizes[0][:1], sizes[1])
        assert_array_equal(multiclass.predict(X), 0 if z > 0 else 1 if z < 0 else 0)
        # The differences of larger ones, and sums of their losses, are not finite.
        for network, labels in (
            (model, y > 0), (multiclass, y), (multilabel, LABELS["multilabel"]),
        ):  # fmt: skip
            if size < largest / 100:
                assert_sane(network, X, labels.astype(int))
