"""Fitted estimators without training: from weights, from and to scikit-learn."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ._attributes import fitted_attributes
from ._engine.network import FloatArray, Network
from ._engine.progress import Progress
from ._engine.training import Fit
from ._labels import binarizer_of

if TYPE_CHECKING:
    from ._classifier import SigmoidMLPClassifier

# What both estimators set in training, and no network depends on.
_RECORDS = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
)


# What is too large for the dtype becomes infinite, and is refused.
@np.errstate(all="ignore")
def set_weights(
    estimator: "SigmoidMLPClassifier",
    coefs: Sequence[npt.ArrayLike],
    intercepts: Sequence[npt.ArrayLike],
    classes: npt.ArrayLike | None,
) -> None:
    """Set what `fit` would, with these weights and no record of training."""
    matrices = _matrices(coefs)
    estimator.hidden_layer_sizes = tuple(matrix.shape[1] for matrix in matrices[:-1])
    estimator._validate_params()
    network = replace(Network.of(matrices), fit_intercept=bool(estimator.fit_intercept))
    biases = [
        check_array(row, ensure_2d=False, dtype=network.dtype, input_name="intercepts")
        for row in intercepts
    ]
    params = network.pack(matrices, biases)
    estimator._label_binarizer = _binarizer(classes, network.sizes[-1])
    estimator.classes_ = estimator._label_binarizer.classes_
    estimator.n_features_in_ = network.sizes[0]
    progress = Progress.start(has_validation=False, early_stopping=False)
    attributes = fitted_attributes(Fit(network, params, estimator._loss(), progress))
    estimator.__dict__.update(attributes, _continues=False)


def _matrices(coefs: Sequence[npt.ArrayLike]) -> list[FloatArray]:
    """Check that matrices follow one another."""
    if not len(coefs):
        raise ValueError("coefs must have at least one array.")
    matrices = [check_array(c, dtype=[np.float64, np.float32], input_name="coefs") for c in coefs]
    for layer, (before, after) in enumerate(pairwise(matrices)):
        if before.shape[1] != after.shape[0]:
            raise ValueError(
                f"coefs[{layer + 1}] must have {before.shape[1]} rows, as many as coefs[{layer}]"
                f" has columns, got shape {after.shape}."
            )
    return matrices


def _binarizer(classes: npt.ArrayLike | None, n_outputs: int) -> LabelBinarizer:
    """Return what stands for labels: `classes`, or for multilabel the outputs' numbers."""
    if classes is None:
        y_type = "binary" if n_outputs == 1 else "multilabel-indicator"
        return binarizer_of(np.arange(max(n_outputs, 2)), y_type)
    labels = np.asarray(classes)
    if labels.ndim != 1 or not np.array_equal(labels, np.unique(labels)):
        raise ValueError("classes must be sorted, each once, as in `classes_`.")
    expected = 1 if len(labels) <= 2 else len(labels)
    if n_outputs != expected:
        raise ValueError(
            f"{len(labels)} classes need a last layer of {expected} unit(s), got {n_outputs}."
        )
    return LabelBinarizer().fit(labels)


def copy_from_sklearn(estimator: "SigmoidMLPClassifier", mlp: MLPClassifier) -> None:
    """Set what `fit` would, as `mlp` has it."""
    is_multilabel = mlp._label_binarizer.y_type_.startswith("multilabel")
    classes = None if is_multilabel else mlp.classes_
    set_weights(estimator, mlp.coefs_, mlp.intercepts_, classes)
    for name in (*_RECORDS, "feature_names_in_"):
        if hasattr(mlp, name):
            setattr(estimator, name, copy(getattr(mlp, name)))
    estimator.hidden_layer_sizes = mlp.hidden_layer_sizes
    if estimator.validation_scores_ is not None:
        estimator.validation_loss_curve_ = [np.nan] * len(estimator.validation_scores_)


def check_convertible(mlp: MLPClassifier) -> None:
    """Raise an error if a network is not fitted, or not one of sigmoids."""
    if not isinstance(mlp, MLPClassifier):
        raise TypeError(f"mlp must be an MLPClassifier, got {type(mlp).__name__}.")
    check_is_fitted(mlp)
    if mlp.activation != "logistic" and mlp.n_layers_ > 2:
        raise ValueError(
            "Only activation='logistic' can be converted: the hidden units of "
            f"fastnet are sigmoids. Got activation={mlp.activation!r}."
        )


def to_sklearn(estimator: "SigmoidMLPClassifier") -> MLPClassifier:
    """Return a fitted `MLPClassifier` with the same network."""
    network = estimator._network()
    coefs, intercepts = network.views(network.pack(estimator.coefs_, estimator.intercepts_))
    if estimator._normalises():
        raise ValueError(
            "MLPClassifier has a softmax over more than two classes. With "
            "loss='squared_error' the outputs are sigmoids, which it cannot represent."
        )
    shared = MLPClassifier().get_params().keys()
    params = {k: v for k, v in estimator.get_params(deep=False).items() if k in shared}
    if estimator.solver == "rprop":
        del params["solver"]
    mlp = MLPClassifier(**params)
    mlp.coefs_ = [np.array(coef, order="C") for coef in coefs]
    mlp.intercepts_ = [np.array(intercept) for intercept in intercepts]
    mlp.n_layers_ = len(network.sizes)
    names = ("n_outputs_", "out_activation_", "classes_", "n_features_in_")
    for name in (*names, *_RECORDS, "_label_binarizer", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(mlp, name, copy(getattr(estimator, name)))
    if estimator.best_validation_score_ is not None:
        # What it returns to if early stopping finds nothing better.
        mlp._best_coefs = [coef.copy() for coef in mlp.coefs_]
        mlp._best_intercepts = [intercept.copy() for intercept in mlp.intercepts_]
    return mlp
