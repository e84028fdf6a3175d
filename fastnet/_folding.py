"""A fitted model as one network: a copy of an estimator, or a pipeline folded into its weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from ._classifier import SigmoidMLPClassifier
from ._engine.network import Network
from ._regressor import SigmoidMLPRegressor

Estimator = SigmoidMLPClassifier | SigmoidMLPRegressor
# What a step does to a row x of features: ``x @ matrix + offset``. A vector stands for a diagonal
# matrix.
_Affine = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def as_one_network(model: Any) -> Estimator:
    """Return a fitted estimator that predicts what a model does, and shares no weight with it.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        Fitted. The steps of a pipeline before the last, which is one of ours, are affine; they
        are folded into the weights of the first layer, in float64.

    Raises
    ------
    TypeError
        If it is something else, or a step is not known to be affine.
    ValueError
        If weights are not finite or do not fit together, or a MinMaxScaler clips.
    sklearn.exceptions.NotFittedError
        If it, or a step, is not fitted.
    """
    if type(model) is not Pipeline:
        return _copy_of(model)
    steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
    if not steps:
        raise TypeError("The pipeline has no steps.")
    network = _copy_of(steps.pop())
    coefs, intercepts = network.coefs_, network.intercepts_
    first, biases = coefs[0].astype(np.float64), intercepts[0].astype(np.float64)
    for step in reversed(steps):
        matrix, offset = _affine_map(step)
        biases = biases + offset @ first
        first = matrix[:, np.newaxis] * first if matrix.ndim == 1 else matrix @ first
    if steps:
        with np.errstate(over="ignore", under="ignore"):
            coefs[0], intercepts[0] = (a.astype(coefs[0].dtype) for a in (first, biases))
        _take_features_of(network, steps[0])
        _own_weights(network)
    return network


def _copy_of(model: Any) -> Estimator:
    if type(model) not in (SigmoidMLPClassifier, SigmoidMLPRegressor):
        raise TypeError(
            "Expected a SigmoidMLPClassifier, a SigmoidMLPRegressor, or a Pipeline that ends with"
            f" one, got {type(model).__name__}. Of a search, that is its best_estimator_."
        )
    copy: Estimator = model._fitted()
    # Raises what the first prediction would.
    copy._network()
    copy._output_code()
    _own_weights(copy)
    return copy


def _own_weights(model: Estimator) -> None:
    """Let a model have its weights, checked, in a vector of its own."""
    network = Network.of(model.coefs_)
    if network.sizes[0] != model.n_features_in_:
        raise ValueError(
            f"coefs_[0] has {network.sizes[0]} rows, but n_features_in_ is {model.n_features_in_}."
        )
    model.coefs_, model.intercepts_ = network.views(network.pack(model.coefs_, model.intercepts_))


def _take_features_of(model: Estimator, step: Any) -> None:
    """Let a model expect the features that a step was fitted with."""
    model.__dict__.pop("feature_names_in_", None)
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(step, name):
            setattr(model, name, getattr(step, name))


def _scaled(offset: Any, divisor: Any, n_features: int) -> _Affine:
    """Return ``(x - offset) / divisor``; None is for what is left out."""
    factor = np.ones(n_features) if divisor is None else 1.0 / np.asarray(divisor, np.float64)
    offset = np.zeros(n_features) if offset is None else np.asarray(offset, np.float64)
    return factor, -offset * factor


def _of_standard_scaler(step: StandardScaler) -> _Affine:
    mean = step.mean_ if step.with_mean else None
    return _scaled(mean, step.scale_, step.n_features_in_)


def _of_min_max_scaler(step: MinMaxScaler) -> _Affine:
    if step.clip:
        raise ValueError("A MinMaxScaler with clip=True is not affine, and cannot be folded.")
    return np.asarray(step.scale_, np.float64), np.asarray(step.min_, np.float64)


def _of_max_abs_scaler(step: MaxAbsScaler) -> _Affine:
    return _scaled(None, step.scale_, step.n_features_in_)


def _of_robust_scaler(step: RobustScaler) -> _Affine:
    return _scaled(step.center_, step.scale_, step.n_features_in_)


def _of_pca(step: Any) -> _Affine:
    matrix = step.components_.T.astype(np.float64)
    if step.whiten:
        # As scikit-learn does: of components without variance, it divides by the least number.
        least = np.finfo(step.explained_variance_.dtype).eps
        matrix = matrix / np.maximum(np.sqrt(step.explained_variance_), least)
    return matrix, -step.mean_.astype(np.float64) @ matrix


def _of_truncated_svd(step: Any) -> _Affine:
    matrix = step.components_.T.astype(np.float64)
    return matrix, np.zeros(matrix.shape[1])


def _affine_steps() -> dict[type, Callable[[Any], _Affine]]:
    """Return the steps that are affine, and what each of them does."""
    # Not with fastnet: it imports scikit-learn's linear models.
    from sklearn.decomposition import PCA, TruncatedSVD

    return {
        StandardScaler: _of_standard_scaler,
        MinMaxScaler: _of_min_max_scaler,
        MaxAbsScaler: _of_max_abs_scaler,
        RobustScaler: _of_robust_scaler,
        PCA: _of_pca,
        TruncatedSVD: _of_truncated_svd,
    }


def _affine_map(step: Any) -> _Affine:
    known = _affine_steps()
    # A derived class may do anything.
    of = known.get(type(step))
    if of is None:
        names = ", ".join(kind.__name__ for kind in known)
        raise TypeError(
            f"{type(step).__name__} cannot be folded into the network, as {names} can."
            " Apply it to the features first, and pass the network alone."
        )
    check_is_fitted(step)
    return of(step)
