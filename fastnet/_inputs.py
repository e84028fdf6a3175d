"""What a user gives to `fit`, checked as scikit-learn checks it."""

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn import get_config
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils._param_validation import (
    InvalidParameterError,
    validate_parameter_constraints,
)
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from ._engine.features import aligned, check_indices
from ._engine.network import FloatArray
from ._labels import encode
from ._warnings import warn

if TYPE_CHECKING:
    from ._classifier import SigmoidMLPClassifier

# Of `validate_data`; dense or CSR, and of the network's dtype.
ACCEPTED: dict[str, Any] = {"accept_sparse": "csr", "order": "C"}


@dataclass
class Samples:
    """Checked samples.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Features; C-contiguous, of the network's dtype.
    y : ndarray or CSR matrix of shape (n_samples,) or (n_samples, n_outputs)
        Labels.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets, 0 or 1, uint8.
    weights : ndarray of shape (n_samples,) or None
        How often each sample counts, class weights included; None for once each.
    """

    X: Any
    y: Any
    Y: npt.NDArray[np.uint8]
    weights: FloatArray | None


def hidden_sizes(estimator: "SigmoidMLPClassifier") -> list[int]:
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


def check_parameters(estimator: "SigmoidMLPClassifier") -> None:
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


def check_known(estimator: "SigmoidMLPClassifier", classes: npt.NDArray[Any]) -> None:
    """Raise scikit-learn's error if there are labels that the estimator does not know."""
    if len(np.setdiff1d(classes, estimator.classes_, assume_unique=True)):
        raise ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {estimator.classes_}. 'y' has {classes}."
        )


def warn_if_gathered(X: Any) -> None:
    """Warn of an array or frame of Dask, which numpy gathers without a word."""
    kind = type(X)
    if kind.__module__.startswith("dask"):
        warn(
            f"X is a {kind.__name__} of Dask, and all of it is gathered into the memory of this "
            "process. To predict chunk by chunk, use its map_blocks or map_partitions; to train, "
            "call partial_fit with one chunk after another.",
            UserWarning,
        )


@np.errstate(all="ignore")
def training_samples(
    estimator: "SigmoidMLPClassifier",
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    incremental: bool,
    starts: bool,
) -> Samples:
    """Check what is to be trained on, and set or check `classes_`, as MLPClassifier does."""
    if incremental:
        check_parameters(estimator)
    dtype = (np.float64, np.float32) if starts else estimator._network().dtype
    X, y = _features_and_labels(estimator, X, y, dtype, reset=starts)
    if not hasattr(estimator, "classes_") or not (estimator.warm_start or incremental):
        estimator._label_binarizer = LabelBinarizer().fit(y)
        estimator.classes_ = estimator._label_binarizer.classes_
    else:
        _check_classes(estimator, unique_labels(y))
    weights = _weights(estimator, sample_weight, X, y)
    Y = encode(estimator._label_binarizer, y)
    if not starts:
        _check_outputs(estimator, Y)
    return Samples(X, y, Y, weights)


def known_samples(
    estimator: "SigmoidMLPClassifier", X: Any, y: Any, sample_weight: Any, dtype: npt.DTypeLike
) -> Samples:
    """Check samples by the features, classes and outputs that the estimator has."""
    samples = _samples_of_known_classes(estimator, X, y, sample_weight, dtype)
    _check_outputs(estimator, samples.Y)
    return samples


# Numbers that are too large for the dtype become infinite, and are refused.
@np.errstate(all="ignore")
def _samples_of_known_classes(
    estimator: "SigmoidMLPClassifier", X: Any, y: Any, sample_weight: Any, dtype: npt.DTypeLike
) -> Samples:
    X, y = _features_and_labels(estimator, X, y, dtype, reset=False)
    check_known(estimator, unique_labels(y))
    weights = _weights(estimator, sample_weight, X, y)
    return Samples(X, y, encode(estimator._label_binarizer, y), weights)


def _features_and_labels(
    estimator: "SigmoidMLPClassifier", X: Any, y: Any, dtype: Any, *, reset: bool
) -> tuple[Any, Any]:
    check_indices(X)
    warn_if_gathered(X)
    X, y = validate_data(estimator, X, y, dtype=dtype, multi_output=True, reset=reset, **ACCEPTED)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def _check_outputs(estimator: "SigmoidMLPClassifier", Y: npt.NDArray[np.uint8]) -> None:
    """Check that there is a target for each output: kernels do not look."""
    n_outputs = np.shape(estimator.coefs_[-1])[-1]
    if Y.shape[1] != n_outputs:
        raise ValueError(f"Labels have {Y.shape[1]} output(s), but coefs_ has {n_outputs}.")


def held_out_samples(
    estimator: "SigmoidMLPClassifier",
    X_val: Any,
    y_val: Any,
    sample_weight_val: Any,
    dtype: npt.DTypeLike,
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
    # A network of its outputs need not exist yet.
    return _samples_of_known_classes(estimator, X_val, y_val, sample_weight_val, dtype)


def _check_classes(estimator: "SigmoidMLPClassifier", classes: npt.NDArray[Any]) -> None:
    if estimator.warm_start and set(classes) != set(estimator.classes_):
        raise ValueError(
            "warm_start can only be used where `y` has the same "
            "classes as in the previous call to fit. Previously "
            f"got {estimator.classes_}, `y` has {classes}"
        )
    check_known(estimator, classes)


def _weights(
    estimator: "SigmoidMLPClassifier", sample_weight: Any, X: Any, y: Any
) -> FloatArray | None:
    """Return how often each sample counts, by its own weight and by its class."""
    weights = None
    if sample_weight is not None:
        weights = aligned(_check_sample_weight(sample_weight, X, dtype=X.dtype))
        # scikit-learn does not look at a weight for all.
        assert_all_finite(weights, input_name="sample_weight")
    if estimator.class_weight is not None:
        of_classes = compute_sample_weight(estimator.class_weight, y).astype(X.dtype)
        weights = of_classes if weights is None else weights * of_classes
        assert_all_finite(weights, input_name="class_weight")
    # scikit-learn looks from 1.9 on, and not at the weights of classes.
    if weights is not None and not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
