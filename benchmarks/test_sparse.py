"""Sparse features, as of words in texts: `fit` and `predict_proba` beside scikit-learn's."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

from .checks import assert_close
from .conftest import Race
from .machine import N_THREADS
from .workloads import DTYPES

# Samples, features, and the share of elements that are not zero.
TEXTS = ((2_000, 2_000, 0.05), (2_000, 20_000, 0.005), (2_000, 100_000, 0.001))
PARAMETERS: dict[str, Any] = {"hidden_layer_sizes": (64,), "max_iter": 2, "random_state": 0}


def models() -> dict[str, Any]:
    """Return the contenders, by name."""
    return {
        "fastnet": SigmoidMLPClassifier(**PARAMETERS, n_jobs=N_THREADS),
        "scikit-learn": MLPClassifier(activation="logistic", **PARAMETERS),
    }


def draw(n_samples: int, n_features: int, density: float, dtype: str) -> Any:
    """Draw a matrix whose samples have as many entries each, anywhere."""
    rng = np.random.default_rng(0)
    count = round(density * n_features)
    data = rng.normal(size=n_samples * count).astype(dtype)
    indices = rng.integers(0, n_features, n_samples * count)
    indptr = np.arange(0, n_samples * count + 1, count)
    X = sparse.csr_array((data, indices, indptr), (n_samples, n_features))
    X.sum_duplicates()
    return X


def fitting(model: Any, X: Any, y: Any) -> Callable[[], Any]:
    """Return a call of `fit`, whose two epochs are two."""

    def fit() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, y)

    return fit


@pytest.mark.parametrize("contender", models())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["fit", "predict_proba"])
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: "{}x{}".format(*text))
def test_sparse(
    race: Race,
    benchmark: Any,
    text: tuple[int, int, float],
    method: str,
    dtype: str,
    contender: str,
) -> None:
    """Two epochs of Adam at a batch of 200, and prediction of all samples at once."""
    n_samples, n_features, density = text
    if benchmark.disabled:
        n_samples, n_features = 300, n_features // 10
    X = draw(n_samples, n_features, density, dtype)
    y = np.random.default_rng(0).integers(0, 4, n_samples)
    fitted = {name: fitting(model, X, y)() for name, model in models().items()}
    ours, theirs = (model.predict_proba(X) for model in fitted.values())
    assert_close(ours, theirs, dtype)
    calls = {
        name: fitting(model, X, y) if method == "fit" else (lambda m=model: m.predict_proba(X))
        for name, model in fitted.items()
    }
    name = f"{method}, {n_samples:,} x {n_features:,}, {density:.1%} not zero"
    race(f"sparse: {name}, {dtype}", contender, calls, n_rows=n_samples, dtype=dtype)
