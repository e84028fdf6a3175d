"""Any configuration that scikit-learn's MLPClassifier has too gives its model.

Hypothesis draws data and every shared parameter. `make test-exhaustive` draws others each
time, and many more.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.neural_network import _multilayer_perceptron
from sklearn.neural_network._base import binary_log_loss, log_loss
from sklearn.utils import check_random_state

from .._support.parity import (
    TOLERANCE,
    assert_same_model,
    assert_same_words,
    both,
    data,
    fit_both,
    run,
)
from ..reference import Array

pytestmark = pytest.mark.thorough

N_EXAMPLES = 500
N_EXAMPLES_EXHAUSTIVE = 10_000
# Without a database each run, here as anywhere, is the same.
SETTINGS = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}

LABELS = {
    "numbers": np.array([3, -1, 7, 0, 12]),
    "objects": np.array(["b", "a", "d", "c", "e"], object),
    "strings": np.array(["b", "a", "d", "c", "e"]),
}
FORMATS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csc_array": sparse.csc_array,
    "csc_matrix": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
}


@dataclass
class Case:
    """What to train on, and how; printed, it can be pasted."""

    n_outputs: int  # of a softmax or, negated, of multilabel; 1 for two classes, 0 for one
    n_samples: int
    n_features: int
    seed: int
    dtype: type
    labels: str
    format: str
    wraps_y: bool  # in a column or, multilabel, in a sparse matrix
    weights: str
    n_calls: int  # of partial_fit; 0 for `fit`
    generator: str  # what `random_state` is
    parameters: dict[str, Any]

    def samples(self) -> tuple[Any, Array]:
        """Return features, of which half are zero where they are sparse, and labels."""
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.n_samples, self.n_features))
        if self.format.startswith("cs"):
            X[rng.random(X.shape) < 0.5] = 0.0
        n_columns = max(1, -self.n_outputs)
        scores = X @ rng.normal(size=(self.n_features, n_columns)) / np.sqrt(self.n_features)
        scores += 0.5 * rng.normal(size=scores.shape)
        X = FORMATS[self.format](X.astype(self.dtype))
        if self.n_outputs < 0:
            y = (scores > 0).astype(int)
            return X, sparse.csr_matrix(y) if self.wraps_y else y
        n_classes = 1 + self.n_outputs if self.n_outputs < 2 else self.n_outputs
        ranks = scores[:, 0].argsort().argsort()
        y = LABELS[self.labels][ranks * n_classes // self.n_samples]
        return X, y.reshape(-1, 1) if self.wraps_y else y

    def classes(self) -> Array:
        """Return what `partial_fit` is told of the labels."""
        return np.arange(-self.n_outputs) if self.n_outputs < 0 else np.unique(self.samples()[1])

    def parts(self) -> list[slice]:
        """Return the samples that each call is given."""
        n = self.n_samples
        return [slice(n), slice(n // 2), slice(n // 3, n)][: self.n_calls] or [slice(n)]

    def sample_weight(self) -> Array | None:
        """Return weights; with zeros, but never of all samples of a mini-batch.

        The mean of such a mini-batch is not defined, and scikit-learn divides by zero.
        """
        if self.weights == "none":
            return None
        rng = np.random.default_rng(self.seed + 1)
        weights = rng.uniform(0.1, 3.0, self.n_samples)
        if self.weights == "zeros":
            n_zeros = min(self._fewest_in_a_batch() - 1, self.n_samples // 3)
            weights[rng.permutation(self.n_samples)[:n_zeros]] = 0.0
        return weights

    def _fewest_in_a_batch(self) -> int:
        fewest = self.n_samples
        for part in self.parts():
            n = len(range(self.n_samples)[part])
            if self.parameters["early_stopping"]:
                n_validation = int(np.ceil(n * self.parameters["validation_fraction"]))
                n -= n_validation
                fewest = min(fewest, n_validation)
            size = self.parameters["batch_size"]
            size = min(200 if size == "auto" else size, n)
            fewest = min(fewest, n % size or size)
        return fewest

    def train(self, model: Any) -> None:
        """Fit a model, at once or in parts."""
        X, y = self.samples()
        weights = self.sample_weight()
        if not self.n_calls:
            model.fit(X, y, sample_weight=weights)
            return
        for part in self.parts():
            w = None if weights is None else weights[part]
            model.partial_fit(X[part], y[part], sample_weight=w, classes=self.classes())


def make_comparable(case: Case) -> Case:
    """Change a case where the two cannot, or need not, agree."""
    parameters = case.parameters
    if case.n_calls:
        parameters["early_stopping"] = False
    if case.dtype is np.float32:
        # A sample on the boundary may be scored differently in the last bit, and some
        # hundred steps of Adam can make a percent out of rounding.
        parameters["early_stopping"] = False
        parameters["max_iter"] = min(parameters["max_iter"], 6)
    if parameters["solver"] == "lbfgs" and (case.n_calls or case.dtype is np.float32):
        # There is no such partial_fit, and scikit-learn trains in float64.
        parameters["solver"] = "sgd"
    if parameters["solver"] == "lbfgs":
        # Older versions of scipy print in Fortran, past Python.
        parameters["verbose"] = False
    if parameters["solver"] == "adam":
        make_adam_tame(parameters, case.n_outputs)
    if parameters["batch_size"] in (1, 2):
        # Thousands of long steps are chaotic: scikit-learn's own result then moves by
        # 1e-2 when X moves by 1e-15.
        parameters["max_iter"] = min(parameters["max_iter"], 4)
        parameters["learning_rate_init"] /= 30
    return case


def make_adam_tame(parameters: dict[str, Any], n_outputs: int) -> None:
    """Bound Adam's steps, the more so where gradients may be no more than rounding."""
    parameters["learning_rate_init"] /= 10
    parameters["beta_1"] = min(parameters["beta_1"], parameters["beta_2"])
    if parameters["beta_2"] == 0.0 or n_outputs == 0:
        parameters["epsilon"] = max(parameters["epsilon"], 0.01)


PARAMETERS = {
    "hidden_layer_sizes": st.one_of(
        st.lists(st.integers(1, 40), max_size=3).map(tuple), st.integers(1, 40)
    ),
    "solver": st.sampled_from(["sgd", "adam", "lbfgs"]),
    "alpha": st.one_of(st.just(0.0), st.floats(1e-6, 3.0)),
    "batch_size": st.sampled_from([1, 2, 7, 16, 32, 50, "auto", 500]),
    "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
    "learning_rate_init": st.floats(1e-4, 0.3),
    "power_t": st.floats(0.0, 1.0),
    "max_iter": st.integers(1, 20),
    "shuffle": st.booleans(),
    "random_state": st.integers(0, 2**32 - 1),
    "tol": st.one_of(st.just(1e-4), st.floats(0.0, 0.1)),
    "verbose": st.booleans(),
    "momentum": st.one_of(st.sampled_from([0.0, 0.9, 1.0]), st.floats(0.0, 1.0)),
    "nesterovs_momentum": st.booleans(),
    "early_stopping": st.booleans(),
    "validation_fraction": st.floats(0.1, 0.6),
    "beta_1": st.one_of(st.just(0.9), st.floats(0.0, 0.99)),
    "beta_2": st.one_of(st.sampled_from([0.999, 0.0]), st.floats(0.9, 0.9999)),
    "epsilon": st.one_of(st.just(1e-8), st.floats(1e-10, 1.0)),
    "n_iter_no_change": st.sampled_from([1, 2, 3, np.inf]),
    "max_fun": st.sampled_from([15000, 1, 4]),
}


CASES = st.builds(
    Case,
    n_outputs=st.sampled_from([1, 3, -3, 5, -2, 0]),
    n_samples=st.integers(40, 120),
    n_features=st.integers(1, 20),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.float64, np.float32, np.int64]),
    labels=st.sampled_from(list(LABELS)),
    format=st.sampled_from(list(FORMATS)),
    wraps_y=st.booleans(),
    weights=st.sampled_from(["none", "positive", "zeros"]),
    n_calls=st.sampled_from([0, 0, 1, 3]),
    generator=st.sampled_from(["seed", "RandomState", "None"]),
    parameters=st.fixed_dictionaries(PARAMETERS),
).map(make_comparable)


@contextmanager
def least_probability():
    """Record the least probability that scikit-learn gave to a label that was the true one."""
    least = [1.0]

    def recorded(loss, y, p, sample_weight=None):
        of_truth = np.where(y == 1, p, 1.0 - p if loss is binary_log_loss else 1.0)
        least[0] = min(least[0], float(of_truth.min()))
        return loss(y, p, sample_weight)

    losses = {
        "log_loss": partial(recorded, log_loss),
        "binary_log_loss": partial(recorded, binary_log_loss),
    }
    with patch.dict(_multilayer_perceptron.LOSS_FUNCTIONS, losses):
        yield least


@contextmanager
def unless_old():
    """Give up a case that scikit-learn 1.7.0 cannot: validation of strings or of sparse y."""
    try:
        yield
    except TypeError as error:
        assume("isnan" not in str(error))
        raise


def fit_seeded(case, model):
    """Train a model; return the run, and what its generator draws next."""
    seed = case.parameters["random_state"]
    if case.generator == "RandomState":
        model.set_params(random_state=np.random.RandomState(seed))
    elif case.generator == "None":
        model.set_params(random_state=None)
        np.random.seed(seed)  # noqa: NPY002 - what None stands for
    return run(model, case.train), check_random_state(model.random_state).uniform()


def assert_parity(case):
    dtype = np.float32 if case.dtype is np.float32 else np.float64
    tolerance = TOLERANCE[dtype]
    our_estimator, their_estimator = both(**case.parameters)
    ours, our_next = fit_seeded(case, our_estimator)
    with least_probability() as least, unless_old():
        theirs, their_next = fit_seeded(case, their_estimator)
    # Of probabilities p near 1 scikit-learn takes log(1 - p), and the smallest of all it
    # takes to be eps. Its loss is less accurate for that; ours works on logits.
    assume(least[0] > np.finfo(dtype).eps / tolerance)
    X, _ = case.samples()
    assert ours.model.coefs_[0].dtype == dtype
    assert_same_model(ours.model, theirs.model, X, tolerance)
    assert our_next == their_next
    # Products of numpy's were seen to warn of an invalid value, and not to when done again.
    expected = [warned for warned in theirs.warnings if "encountered in matmul" not in warned[1]]
    assert sorted(ours.warnings, key=str) == sorted(expected, key=str)
    assert_same_words(ours.printed, theirs.printed, tolerance)


@settings(max_examples=N_EXAMPLES, derandomize=True, **SETTINGS)
@given(CASES)
def test_drawn_cases(case):
    assert_parity(case)


@pytest.mark.exhaustive
@settings(max_examples=N_EXAMPLES_EXHAUSTIVE, **SETTINGS)
@given(CASES)
def test_many_drawn_cases(case):
    assert_parity(case)


def test_lbfgs_until_it_converges():
    """Stopping rules of the stochastic solvers are not its own."""
    X, y = data("binary", np.float64)
    parameters = {"solver": "lbfgs", "tol": 1e-4, "alpha": 1.0, "n_iter_no_change": 1}
    ours, theirs = fit_both(X, y, {"hidden_layer_sizes": (5,), "random_state": 0} | parameters)
    assert theirs.n_iter_ > 50
    assert_same_model(ours, theirs, X, 1e-8)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_lbfgs_in_float32(kind):
    """scikit-learn trains in float64, on another path to the same minimum."""
    X, y = data(kind, np.float32)
    parameters = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 1000}
    ours, theirs = fit_both(X, y, {"random_state": 0, "tol": 1e-3} | parameters)
    assert ours.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-3)
