"""Labels to targets, and outputs to labels."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, logsumexp
from sklearn.preprocessing import LabelBinarizer

from ._engine.network import FloatArray


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


def given_binarizer(classes: npt.ArrayLike | None, n_outputs: int) -> LabelBinarizer:
    """Return what stands for labels: `classes`, or for multilabel the outputs' numbers."""
    if classes is None:
        y_type = "binary" if n_outputs == 1 else "multilabel-indicator"
        return binarizer_of(np.arange(max(n_outputs, 2)), y_type)
    labels = np.asarray(classes)
    if labels.ndim != 1 or not np.array_equal(labels, np.unique(labels)):
        raise ValueError("classes must be sorted and unique, as in `classes_`.")
    expected = 1 if len(labels) <= 2 else len(labels)
    if n_outputs != expected:
        raise ValueError(
            f"{len(labels)} classes need a last layer of {expected} unit(s), got {n_outputs}."
        )
    return LabelBinarizer().fit(labels)


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
    """Return the labels that logits, or zeros and ones, stand for.

    `LabelBinarizer` checks its arguments, which takes 70 to 140 us; a row of 28-64-1 takes 6 to 11.
    """
    classes = binarizer.classes_
    if binarizer.sparse_input_ or binarizer.y_type_ not in ("binary", "multiclass"):
        return binarizer.inverse_transform(outputs, threshold=0)
    if binarizer.y_type_ == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    is_second = outputs.ravel() > 0
    # A single class is the answer in any case.
    return classes.take(is_second if len(classes) == 2 else np.zeros(len(is_second), np.intp))


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


def check_known(known: npt.NDArray[Any], classes: npt.NDArray[Any]) -> None:
    """Raise scikit-learn's error if there are labels that are not known."""
    if len(np.setdiff1d(classes, known, assume_unique=True)):
        raise ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {known}. 'y' has {classes}."
        )
