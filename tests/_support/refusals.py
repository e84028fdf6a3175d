"""What a call is refused with, and whether that changed anything or launched a kernel."""

import copy
import functools
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier
from fastnet._engine import dispatch

# What takes features alone.
PREDICTING = (
    "predict", "predict_proba", "predict_log_proba", "decision_function", "activations",
    "input_gradients",
)  # fmt: skip
# What takes labels as well, and does not train.
GRADIENTS = ("sample_gradients", "loss_gradients")

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 3
Y = np.eye(3, dtype=int)[y]
NAMES = np.array(["a", "b", "c"])[y]


def state(model: Any) -> dict[str, bytes]:
    """Return all attributes as bytes, to be compared before and after."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def refusal(model: Any, method: str, *args: Any, **kwargs: Any) -> tuple[type, str] | None:
    """Return the error that a call raises, or None; one of ours must then be as before.

    The words are those of a class named as scikit-learn's is.
    """
    before = state(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(model, method)(*args, **kwargs)
    except Exception as error:
        if type(model).__module__.startswith("fastnet"):
            assert state(model) == before
        return type(error), str(error).replace("SigmoidMLP", "MLP")
    return None


def record_launches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list to which every launch of a kernel will add its name."""
    launched: list[Any] = []
    for name in ("run", "run_serial"):
        launch = getattr(dispatch, name)

        def recorded(kernel: Any, *args: Any, launch: Any = launch, **options: Any) -> Any:
            launched.append(kernel)
            return launch(kernel, *args, **options)

        monkeypatch.setattr(dispatch, name, recorded)
    return launched


def pair(**parameters: Any) -> tuple[SigmoidMLPClassifier, MLPClassifier]:
    """Return our estimator and scikit-learn's."""
    shared = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0} | parameters
    return SigmoidMLPClassifier(**shared), MLPClassifier(activation="logistic", **shared)


def fitted(*samples: Any, **parameters: Any) -> tuple[SigmoidMLPClassifier, MLPClassifier]:
    ours, theirs = pair(**parameters)
    return ours.fit(*samples), theirs.fit(*samples)


@functools.cache
def fitted_pairs() -> dict[str, tuple[SigmoidMLPClassifier, MLPClassifier]]:
    """Return both estimators, new and fitted to labels of every kind; not to be changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "new": pair(),
            "fitted": fitted(X, y),
            "binary": fitted(X, (y > 0).astype(int)),
            "names": fitted(X, NAMES),
            "multilabel": fitted(X, Y),
            "two labels": fitted(X, Y[:, :2]),
            "warm": fitted(X, y, warm_start=True),
            "warm binary": fitted(X, (y > 0).astype(int), warm_start=True),
        }


def both(pair: Any, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Return what each of two estimators refuses a call with."""
    ours, theirs = (refusal(copy.deepcopy(m), method, *args, **kwargs) for m in pair)
    return ours, theirs
