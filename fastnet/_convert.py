"""Fitted estimators without training: from weights, from and to scikit-learn."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ._attributes import FITTED, fitted_attributes
from ._base import BaseSigmoidMLP
from ._engine.network import Network
from ._engine.progress import Progress
from ._engine.training import Fit
from ._sklearn import InvalidParameterError, validate_parameter_constraints


# What is too large for the dtype becomes infinite, and is refused.
@np.errstate(all="ignore")
def set_weights(
    estimator: BaseSigmoidMLP,
    coefs: Sequence[npt.ArrayLike],
    intercepts: Sequence[npt.ArrayLike],
    learn: Callable[[int], None] = lambda n_outputs: None,
) -> None:
    """Set what `fit` would, with these weights and no record of training.

    `learn` sets what is known of targets, by the number of outputs; by default nothing.
    """
    matrices = [check_array(c, dtype=[np.float64, np.float32], input_name="coefs") for c in coefs]
    network = Network.of(matrices)
    estimator.hidden_layer_sizes = tuple(matrix.shape[1] for matrix in matrices[:-1])
    estimator._validate_params()
    network = replace(network, fit_intercept=bool(estimator.fit_intercept))
    biases = [
        check_array(row, ensure_2d=False, dtype=network.dtype, input_name="intercepts")
        for row in intercepts
    ]
    params = network.pack(matrices, biases)
    learn(network.sizes[-1])
    estimator.n_features_in_ = network.sizes[0]
    progress = Progress.start(has_validation=False, early_stopping=False)
    attributes = fitted_attributes(Fit(network, params, estimator._loss(), progress))
    estimator.__dict__.update(attributes)


def shared_parameters(kind: type[BaseSigmoidMLP], mlp: Any) -> dict[str, Any]:
    """Return those of a network's parameters that our class has too.

    A subclass, and a later scikit-learn, may have others.
    """
    shared = set(kind._get_param_names()) - {"activation"}
    return {k: v for k, v in mlp.get_params(deep=False).items() if k in shared}


def copy_from_sklearn(
    estimator: BaseSigmoidMLP,
    mlp: MLPClassifier | MLPRegressor,
    learn: Callable[[int], None] = lambda n_outputs: None,
) -> None:
    """Set what `fit` would, as `mlp` has it; `learn` as in `set_weights`."""
    set_weights(estimator, mlp.coefs_, mlp.intercepts_, learn)
    # `loss` may have been set since `fit`: outputs are what they were trained to be.
    for name in (*_records(), "out_activation_", "feature_names_in_"):
        if hasattr(mlp, name):
            setattr(estimator, name, copy(getattr(mlp, name)))
    estimator.hidden_layer_sizes = mlp.hidden_layer_sizes
    if estimator.validation_scores_ is not None:
        estimator.validation_loss_curve_ = [np.nan] * len(estimator.validation_scores_)


def _records() -> Iterator[str]:
    """Yield the names of what tells how training went, in both libraries."""
    return (attribute.name for attribute in FITTED if attribute.is_record)


def check_convertible(mlp: Any, kind: type[MLPClassifier | MLPRegressor]) -> None:
    """Raise an error if a network is not fitted, or not one of sigmoids."""
    if not isinstance(mlp, kind):
        raise TypeError(f"mlp must be an {kind.__name__}, got {type(mlp).__name__}.")
    check_is_fitted(mlp)
    if mlp.activation != "logistic" and mlp.n_layers_ > 2:
        raise ValueError(
            "Only activation='logistic' can be converted: the hidden units of "
            f"fastnet are sigmoids. Got activation={mlp.activation!r}."
        )


def _takes(kind: type[Any], name: str, value: Any) -> bool:
    """Return whether a class takes a value of a parameter: not what only ours has, as "rprop"."""
    constraints = {name: kind._parameter_constraints[name]}
    try:
        validate_parameter_constraints(constraints, {name: value}, kind.__name__)
    except InvalidParameterError:
        return False
    return True


def to_sklearn(estimator: BaseSigmoidMLP, kind: type[Any], learned: tuple[str, ...]) -> Any:
    """Return a fitted estimator of a class of scikit-learn's, with the same network.

    `learned` names the attributes that say what is known of targets.
    """
    network = estimator._network()
    coefs, intercepts = network.views(network.pack(estimator.coefs_, estimator.intercepts_))
    mlp = kind()
    shared = mlp.get_params().keys()
    for name, value in estimator.get_params(deep=False).items():
        if name in shared and _takes(kind, name, value):
            setattr(mlp, name, value)
    mlp.coefs_ = [np.array(coef, order="C") for coef in coefs]
    mlp.intercepts_ = [np.array(intercept) for intercept in intercepts]
    mlp.n_layers_ = len(network.sizes)
    names = ("n_outputs_", "out_activation_", "n_features_in_", "feature_names_in_", *learned)
    for name in (*names, *_records()):
        if hasattr(estimator, name):
            setattr(mlp, name, copy(getattr(estimator, name)))
    if estimator.best_validation_score_ is not None:
        # What it returns to if early stopping finds nothing better.
        mlp._best_coefs = [coef.copy() for coef in mlp.coefs_]
        mlp._best_intercepts = [intercept.copy() for intercept in mlp.intercepts_]
    return mlp
