"""Estimators of tests in which it does not matter which they are."""

from typing import Any

import numpy as np

from fastnet import SigmoidMLPClassifier


def unfitted(**parameters: Any) -> SigmoidMLPClassifier:
    """Return a small estimator, with a generator of its own."""
    small = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": np.random.RandomState(3)}
    return SigmoidMLPClassifier(**small | parameters)


def stopping_soon(hidden: Any = (32,), **parameters: Any) -> SigmoidMLPClassifier:
    """Return an estimator that soon stops by itself, so that nothing is warned of."""
    early = {"n_iter_no_change": 1, "tol": 10, "learning_rate_init": 0.05, "random_state": 0}
    return SigmoidMLPClassifier(hidden, **early | parameters)
