"""Any configuration that scikit-learn's MLPRegressor has too gives its model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPRegressor

from fastnet import SigmoidMLPRegressor

from .._support.parity import assert_close_losses, assert_same_words, relative_difference, run
from ..reference import Array
from .test_parity import FORMATS, PARAMETERS, SETTINGS

pytestmark = pytest.mark.thorough

N_EXAMPLES = 300
N_EXAMPLES_EXHAUSTIVE = 5_000
TOLERANCE = {np.float64: 1e-8, np.float32: 2e-3}


@dataclass
class Case:
    """What to train on, and how; printed, it can be pasted."""

    n_outputs: int
    n_samples: int
    n_features: int
    seed: int
    dtype: type
    format: str
    is_column: bool  # of a single target
    kind: str  # type of the targets
    weights: str
    n_calls: int  # of partial_fit; 0 for `fit`
    parameters: dict[str, Any]

    def samples(self) -> tuple[Any, Array]:
        """Return features, of which half are zero where they are sparse, and targets."""
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.n_samples, self.n_features))
        if self.format.startswith("cs"):
            X[rng.random(X.shape) < 0.5] = 0.0
        y = X @ rng.normal(size=(self.n_features, self.n_outputs)) / np.sqrt(self.n_features)
        y += 0.3 * rng.normal(size=y.shape)
        if self.parameters["loss"] == "poisson":
            y = rng.poisson(np.exp(np.clip(y, -3.0, 1.5)))
        y = (np.rint(y) if self.kind == "i8" else y).astype(self.kind)
        X = FORMATS[self.format](X.astype(self.dtype))
        return X, y if self.n_outputs > 1 or self.is_column else y.ravel()

    def train(self, model: Any) -> None:
        """Fit a model, at once or in parts."""
        X, y = self.samples()
        rng = np.random.default_rng(self.seed + 1)
        weights = None
        if self.weights != "none":
            weights = rng.uniform(0.1, 3.0, self.n_samples)
            if self.weights == "some zero":
                weights[rng.random(self.n_samples) < 0.2] = 0.0
        if not self.n_calls:
            model.fit(X, y, sample_weight=weights)
            return
        for part in [slice(0, 25), slice(10, None), slice(None)][: self.n_calls]:
            w = None if weights is None else weights[part]
            model.partial_fit(X[part], y[part], sample_weight=w)


def make_comparable(case: Case) -> Case:
    """Change a case where the two cannot, or need not, agree."""
    parameters = case.parameters
    # Errors have no bounds, as those of probabilities have.
    parameters["learning_rate_init"] /= 30
    parameters["beta_1"] = min(parameters["beta_1"], parameters["beta_2"])
    parameters["epsilon"] = max(parameters["epsilon"], 1e-4)
    if case.dtype is np.float32:
        parameters["early_stopping"] = False
        parameters["max_iter"] = min(parameters["max_iter"], 5)
    if case.n_calls:
        parameters["early_stopping"] = False
    if parameters["solver"] == "lbfgs":
        parameters["verbose"] = False
        parameters["max_iter"] = min(parameters["max_iter"], 8)
        if case.n_calls or case.dtype is np.float32:
            # There is no such partial_fit, and scikit-learn trains in float64.
            parameters["solver"] = "sgd"
    if parameters["batch_size"] in (1, 2):
        if case.weights == "some zero":
            # A mini-batch whose weights are all 0 is an error there.
            case.weights = "any"
        parameters["max_iter"] = min(parameters["max_iter"], 4)
        parameters["learning_rate_init"] /= 10
    return case


CASES = st.builds(
    Case,
    n_outputs=st.sampled_from([1, 1, 2, 3]),
    n_samples=st.integers(40, 120),
    n_features=st.integers(1, 20),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.float64, np.float32]),
    format=st.sampled_from(list(FORMATS)),
    is_column=st.booleans(),
    kind=st.sampled_from(["f8", "f4", "i8"]),
    weights=st.sampled_from(["none", "none", "any", "some zero"]),
    n_calls=st.sampled_from([0, 0, 1, 3]),
    parameters=st.fixed_dictionaries(
        PARAMETERS | {"loss": st.sampled_from(["squared_error", "poisson"])}
    ),
).map(make_comparable)


def assert_parity(case: Case) -> None:
    """Train both, and compare all that a fit leaves behind."""
    tolerance = TOLERANCE[case.dtype]
    try:
        theirs = run(MLPRegressor(activation="logistic", **case.parameters), case.train)
    except ValueError as error:
        # Weights beyond all numbers; anything else is a fault of this test.
        assume("non-finite" not in str(error) and "NaN" not in str(error))
        raise
    assume(all(np.isfinite(coef).all() and abs(coef).max() < 1e3 for coef in theirs.model.coefs_))
    ours = run(SigmoidMLPRegressor(**case.parameters), case.train)
    X, _ = case.samples()
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours.model, name) == getattr(theirs.model, name)
    assert relative_difference(ours.model.coefs_, theirs.model.coefs_) <= tolerance
    for one, other in zip(ours.model.intercepts_, theirs.model.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=10 * tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(
        ours.model.predict(X), theirs.model.predict(X), rtol=10 * tolerance, atol=10 * tolerance
    )
    assert_close_losses(ours.model.loss_, theirs.model.loss_, 10 * tolerance)
    if case.parameters["solver"] != "lbfgs":
        assert_close_losses(ours.model.loss_curve_, theirs.model.loss_curve_, 10 * tolerance)
        if theirs.model.best_loss_ is None:
            assert ours.model.best_loss_ is None
        else:
            assert_close_losses(ours.model.best_loss_, theirs.model.best_loss_, 10 * tolerance)
        if case.parameters["early_stopping"]:
            np.testing.assert_allclose(
                ours.model.validation_scores_, theirs.model.validation_scores_,
                rtol=1e-6, atol=1e-6,
            )  # fmt: skip
    assert ours.warnings == theirs.warnings
    assert_same_words(ours.printed, theirs.printed, 10 * tolerance)


@settings(max_examples=N_EXAMPLES, derandomize=True, **SETTINGS)
@given(case=CASES)
def test_same_model(case: Case) -> None:
    assert_parity(case)


@pytest.mark.exhaustive
@settings(max_examples=N_EXAMPLES_EXHAUSTIVE, **SETTINGS)
@given(case=CASES)
def test_same_model_exhaustively(case: Case) -> None:
    assert_parity(case)
