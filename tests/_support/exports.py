"""Fitted models of every kind that can be exported, and rows to try them on."""

import warnings
from functools import cache
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

from ..reference import Array

N_FEATURES = 6
# A label is itself wherever it comes out, and is never code.
HOSTILE = [
    "quote \" and '",
    "back\\slash \\n",
    "*/ comment // /*",
    "new\nline\r\ttab",
    "??/ ${name} {brace} %s $name",
    "snow \N{SNOWMAN} é \N{GRINNING FACE}",
    '"""; import os; os.abort(); """',
    "",
]

_rng = np.random.default_rng(7)
_X = _rng.normal(size=(240, N_FEATURES))
_y = np.arange(240)

LABELS: dict[str, Any] = {
    "two": _y % 2,
    "several": _y % 4 * 10 - 5,
    "text": np.array(HOSTILE)[_y % len(HOSTILE)],
    "two texts": np.array(HOSTILE)[_y % 2],
    "booleans": _y % 2 == 0,
    "floats": _y % 3 * 1.0,
    "large": np.array([-(2**63), 0, 2**63 - 1])[_y % 3],
    "one": np.full(240, 7),
    "multilabel": (_X[:, :3] > 0).astype(int),
    "two labels": (_X[:, :2] > 0).astype(int),
}
_VALUES: dict[str, Any] = {"one target": abs(_X[:, 0]), "two targets": abs(_X[:, :2])}
_CLASSIFIER: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}

CLASSIFIERS: dict[str, tuple[Any, dict[str, Any]]] = {
    **{kind: (y, {}) for kind, y in LABELS.items()},
    "no hidden layer": (LABELS["several"], {"hidden_layer_sizes": ()}),
    "two hidden layers": (LABELS["several"], {"hidden_layer_sizes": (20, 3)}),
    "no biases": (LABELS["several"], {"fit_intercept": False}),
    "squared error": (LABELS["several"], {"loss": "squared_error"}),
    "squared error, two": (LABELS["two"], {"loss": "squared_error"}),
}
REGRESSORS: dict[str, tuple[Any, dict[str, Any]]] = {
    **{kind: (y, {}) for kind, y in _VALUES.items()},
    **{f"poisson, {kind}": (y, {"loss": "poisson"}) for kind, y in _VALUES.items()},
}
KINDS = [*CLASSIFIERS, *REGRESSORS]


@cache
def fitted(kind: str, dtype: str) -> Any:
    """Return a model of a kind, trained a little."""
    is_classifier = kind in CLASSIFIERS
    y, parameters = (CLASSIFIERS if is_classifier else REGRESSORS)[kind]
    make: Any = SigmoidMLPClassifier if is_classifier else SigmoidMLPRegressor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(**_CLASSIFIER | parameters).fit(_X.astype(dtype), y)


PIPELINES: dict[str, list[Any]] = {
    "standard": [StandardScaler()],
    "mean only": [StandardScaler(with_std=False)],
    "std only": [StandardScaler(with_mean=False)],
    "min, max": [MinMaxScaler(feature_range=(-2, 1))],
    "max": [MaxAbsScaler()],
    "robust": [RobustScaler()],
    "robust, plain": [RobustScaler(with_centering=False, with_scaling=False)],
    "pca": [PCA(4)],
    "white pca": [PCA(4, whiten=True)],
    "svd": [TruncatedSVD(3, random_state=0)],
    "several": [StandardScaler(), "passthrough", PCA(5, whiten=True), MinMaxScaler()],
}


@cache
def pipeline(kind: str, dtype: str, *, regressor: bool = False) -> Any:
    """Return a pipeline of affine steps before a network."""
    network: Any = SigmoidMLPRegressor if regressor else SigmoidMLPClassifier
    model = make_pipeline(*PIPELINES[kind], network(**_CLASSIFIER))
    y = _VALUES["one target"] if regressor else LABELS["several"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit((3 * _X + 1).astype(dtype), y)


def rows(dtype: str, n: int = 10_000) -> Array:
    """Return rows to predict, none of which was trained on."""
    return np.random.default_rng(11).normal(size=(n, N_FEATURES)).astype(dtype)


def predicted(model: Any, X: Array) -> tuple[Array, Array]:
    """Return probabilities and labels, or a regressor's values twice; both with two axes."""
    y = np.asarray(model.predict(X))
    p = model.predict_proba(X) if hasattr(model, "predict_proba") else y
    return p.reshape(len(X), -1), y.reshape(len(X), -1)


def tolerance(dtype: str) -> float:
    """Return how far apart results may be that were rounded differently."""
    return 1e-6 if dtype == "float32" else 1e-12
