"""Labels to targets, and outputs to labels."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax, logsumexp
from sklearn.preprocessing import LabelBinarizer

from fastnet import kernels

from ._network import FloatArray


def binarizer_of(
    classes: npt.NDArray[Any], y_type: str, sparse_input: bool = False
) -> LabelBinarizer:
    """Return a binarizer as it would be if it had been fitted.

    Fitting it to 5,000 labels of a multilabel problem would take a matrix of 200 MB.
    """
    binarizer = LabelBinarizer()
    binarizer.y_type_ = y_type
    binarizer.sparse_input_ = sparse_input
    binarizer.classes_ = classes
    return binarizer


def encode(binarizer: LabelBinarizer, y: Any) -> npt.NDArray[np.uint8]:
    """Return labels as zeros and ones, one column per output.

    `LabelBinarizer` goes by way of a sparse matrix: for a million labels of two classes
    it takes 64 ms and room for seven million integers, this 7 ms and for one million.

    Raises
    ------
    ValueError
        If only one of the labels and those that the binarizer knows are multilabel.
    """
    if binarizer.y_type_ not in ("binary", "multiclass"):
        if y.dtype.type is np.float16:
            # The binarizer makes a sparse matrix, which scipy 1.13 cannot of float16.
            y = y.astype(np.float32)
        Y = np.ascontiguousarray(binarizer.transform(y), np.uint8)
        if Y.shape[1] != len(binarizer.classes_):
            raise ValueError(
                f"y must be an indicator matrix of {len(binarizer.classes_)} labels, as before."
            )
        return Y
    if y.ndim > 1:
        # In scikit-learn's words.
        raise ValueError("The object was not fitted with multilabel input.")
    codes = np.searchsorted(binarizer.classes_, y)
    if binarizer.y_type_ == "binary":
        return codes.astype(np.uint8).reshape(-1, 1)
    return (codes[:, np.newaxis] == np.arange(len(binarizer.classes_))).view(np.uint8)


def decode(binarizer: LabelBinarizer, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the labels that logits, or zeros and ones, stand for."""
    return binarizer.inverse_transform(outputs, threshold=0)


# The largest logit is left out of a sum, and others may be too far below it.
@np.errstate(over="ignore", under="ignore", divide="ignore")
def log_odds(binarizer: LabelBinarizer, out_activation: str | None, z: FloatArray) -> FloatArray:
    """Return ``log(p / (1 - p))`` of each class or label, of its logits; finite if they are.

    Of a softmax over classes, ``z[k] - logsumexp(z[j] for j != k)``.
    """
    if binarizer.y_type_ != "multiclass":
        return z
    if out_activation == "logistic":
        # Probabilities are sigmoids divided by their sum.
        z = log_expit(z)
    rows, largest = np.arange(len(z)), z.argmax(axis=1)
    shifted = z - z[rows, largest, np.newaxis]
    exponentials = np.exp(shifted)
    # At least 1, but for the largest, of which too little would be left.
    odds = shifted - np.log(exponentials.sum(axis=1, keepdims=True) - exponentials)
    odds[rows, largest] = shifted[rows, largest] = -np.inf
    # No less than another, which is as large: both are rounded.
    odds[rows, largest] = np.maximum(-logsumexp(shifted, axis=1), odds.max(axis=1))
    most = np.finfo(z.dtype).max
    return np.clip(odds, -most, most)


@np.errstate(over="ignore", under="ignore")
def mean_loss(
    loss: int, z: FloatArray, Y: npt.NDArray[np.uint8], weights: FloatArray | None
) -> float:
    """Return the mean loss of logits, in float64, without a penalty.

    What the kernels sum in training, on samples that are not trained on.

    Raises
    ------
    ValueError
        If the weights add up to zero.
    """
    if weights is not None and weights.sum() == 0.0:
        raise ValueError("Sample weights of a validation set must not add up to zero.")
    z = z.astype(np.float64)
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        losses = -log_softmax(z, axis=1)[Y == 1]
    elif loss == kernels.BINARY_LOG_LOSS:
        losses = -log_expit(np.where(Y == 1, z, -z)).sum(axis=1)
    else:
        # The squared distance to 0 or 1, whichever it is.
        losses = np.exp(2.0 * log_expit(np.where(Y == 1, -z, z))).sum(axis=1)
    return float(np.average(losses, weights=weights))


@np.errstate(over="ignore", under="ignore")
def constant_loss(loss: int, Y: npt.NDArray[np.uint8], weights: FloatArray | None) -> float:
    """Return the mean loss of the best outputs that are the same for every sample.

    It is 0 where weights add up to zero, so that nothing can be better.
    """
    if weights is not None and weights.sum() == 0.0:
        return 0.0
    p = np.average(Y, axis=0, weights=weights)
    if loss == kernels.SQUARED_ERROR:
        return float((p * (1.0 - p)).sum())
    if loss == kernels.BINARY_LOG_LOSS:
        p = np.concatenate([p, 1.0 - p])
    p = p[p > 0.0]
    return float(-(p * np.log(p)).sum())
