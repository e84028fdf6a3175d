"""What a user gives to `fit`, checked as scikit-learn checks it."""

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import get_config
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.validation import validate_data

from ._base import ACCEPTED, BaseSigmoidMLP, warn_if_gathered
from ._engine.features import Features, aligned, check_indices
from ._engine.network import FloatArray, Network
from ._engine.trainer import Data
from ._sklearn import InvalidParameterError, check_sample_weight, validate_parameter_constraints


@dataclass
class Samples:
    """Checked samples.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Features; C-contiguous, of the network's dtype.
    y : ndarray or CSR matrix of shape (n_samples,) or (n_samples, n_outputs)
        Labels or targets as the user gave them.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets as the kernels take them.
    weights : ndarray of shape (n_samples,) or None
        Weight of each sample, class weights included; None where each is 1.
    """

    X: Any
    y: Any
    Y: npt.NDArray[Any]
    weights: FloatArray | None

    def data(self, rows: npt.NDArray[np.int64]) -> Data:
        """Return them as a trainer takes them; it trains on `rows`."""
        weights = np.empty(0, self.X.dtype) if self.weights is None else self.weights
        return Data(Features.of(self.X), self.Y, weights, rows)


def hidden_sizes(estimator: BaseSigmoidMLP) -> list[int]:
    """Return the units of the hidden layers."""
    sizes = estimator.hidden_layer_sizes
    is_list = np.iterable(sizes) and not isinstance(sizes, (str, bytes))
    hidden = list(sizes) if is_list else [sizes]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in hidden):
        raise InvalidParameterError(
            f"The 'hidden_layer_sizes' parameter of {type(estimator).__name__} must be "
            f"integers. Got {sizes!r} instead."
        )
    if any(size <= 0 for size in hidden):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
    return [int(size) for size in hidden]


def check_parameters(estimator: BaseSigmoidMLP) -> None:
    """Raise scikit-learn's error if a parameter is not valid.

    scikit-learn does so in every `fit`, but of several `partial_fit` only in the first.
    """
    if get_config()["skip_parameter_validation"]:
        return
    # `hidden_sizes` looks at the others.
    names = estimator._parameter_constraints.keys() - {"hidden_layer_sizes"}
    given = {name: value for name, value in vars(estimator).items() if name in names}
    if all(isinstance(value, _PLAIN) for value in given.values()):
        kind: Any = type(estimator)
        _check_plain(kind, **given)
    else:
        estimator._validate_params()


# Nothing that would be kept alive by the cache.
_PLAIN = (int, float, str, NoneType)


# It takes 100 us, and a `partial_fit` of a few samples 450.
@lru_cache(maxsize=64, typed=True)
def _check_plain(kind: Any, **params: Any) -> None:
    validate_parameter_constraints(kind._parameter_constraints, params, kind.__name__)


# Numbers that are too large for the dtype become infinite, and are refused.
@np.errstate(all="ignore")
def training_samples(
    estimator: BaseSigmoidMLP,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    incremental: bool,
    starts: bool,
) -> Samples:
    """Check what is to be trained on, and set or check what is known of targets."""
    if incremental:
        check_parameters(estimator)
    network = None if starts else estimator._network()
    dtype = (np.float64, np.float32) if network is None else network.dtype
    X, y = _features_and_targets(estimator, X, y, dtype, reset=starts)
    estimator._learn_targets(y, continues=bool(estimator.warm_start or incremental))
    return _encoded(estimator, X, y, sample_weight, network)


@np.errstate(all="ignore")
def known_samples(
    estimator: BaseSigmoidMLP, X: Any, y: Any, sample_weight: Any, network: Network
) -> Samples:
    """Check samples by the features and targets that the estimator knows, and a network."""
    X, y = _features_and_targets(estimator, X, y, network.dtype, reset=False)
    estimator._check_targets(y)
    return _encoded(estimator, X, y, sample_weight, network)


def _features_and_targets(
    estimator: BaseSigmoidMLP, X: Any, y: Any, dtype: Any, *, reset: bool
) -> tuple[Any, Any]:
    check_indices(X)
    warn_if_gathered(X)
    checks = {**ACCEPTED, "multi_output": True, "y_numeric": estimator._y_numeric}
    X, y = validate_data(estimator, X, y, dtype=dtype, reset=reset, **checks)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def _encoded(
    estimator: BaseSigmoidMLP, X: Any, y: Any, sample_weight: Any, network: Network | None
) -> Samples:
    """Return samples as the kernels take them, with a target for each output of a network."""
    weights = _weights(estimator, sample_weight, X, y)
    Y = estimator._encode(y, X.dtype)
    n_targets = Y.shape[1]
    # The kernels do not look.
    if network is not None and n_targets != network.sizes[-1]:
        raise ValueError(f"y has {n_targets} output(s), but the network has {network.sizes[-1]}.")
    return Samples(X, y, Y, weights)


def held_out_samples(
    estimator: BaseSigmoidMLP, X_val: Any, y_val: Any, sample_weight_val: Any, network: Network
) -> Samples | None:
    """Check the validation set given to `fit`, if there is one."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    return known_samples(estimator, X_val, y_val, sample_weight_val, network)


def _weights(estimator: BaseSigmoidMLP, sample_weight: Any, X: Any, y: Any) -> FloatArray | None:
    """Return the weight of each sample, its class's included; None where each is 1."""
    weights = None
    if sample_weight is not None:
        weights = aligned(check_sample_weight(sample_weight, X, dtype=X.dtype))
        # scikit-learn does not look at a weight for all.
        assert_all_finite(weights, input_name="sample_weight")
    of_classes = estimator._class_weights(y)
    if of_classes is not None:
        of_classes = of_classes.astype(X.dtype)
        weights = of_classes if weights is None else weights * of_classes
        assert_all_finite(weights, input_name="class_weight")
    # scikit-learn looks from 1.9 on, and not at the weights of classes.
    if weights is not None and not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
