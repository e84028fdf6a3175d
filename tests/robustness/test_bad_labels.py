"""Bad labels, classes and weights: scikit-learn's errors, and nothing changes."""

import copy
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.utils.fixes import parse_version

from .._support.refusals import (
    GRADIENTS,
    NAMES,
    X,
    Y,
    both,
    refusal,
    y,
)


def one_of(labels: Any, value: Any) -> Any:
    labels = np.array(labels)
    labels[4] = value
    return labels


LABELS = {
    "NaN": one_of(y.astype(float), np.nan),
    "infinity": one_of(y.astype(float), np.inf),
    "None": None,
    "None in objects": one_of(NAMES.astype(object), None),
    "NaN in objects": one_of(NAMES.astype(object), np.nan),
    "number in objects": one_of(NAMES.astype(object), 3),
    "continuous": X[:, 0],
    "continuous, 2-D": X[:, :2],
    "several of many classes": np.stack([y, y], axis=1),
    "too few": y[:59],
    "too many": np.r_[y, 0],
    "a row": y[None],
    "scalar": 1,
    "0-D": np.array(1),
    "3-D": y[:, None, None],
    "empty": [],
    "bytes": NAMES.astype("S1"),
    "complex": y.astype(complex),
    "indicators of a half": 0.5 * Y,
    "indicators of NaN": np.where(Y == 1, np.nan, 0.0),
    "lists of labels": [[1], [2, 3]] * 30,
    "sets": [{1}, {2}] * 30,
    "integers in objects": y.astype(object),
    "void": np.zeros(60, "V4"),
    "dict": {"a": 1},
    "text": "a",
    "a sparse column": sparse.csr_array(y[:, None]),
    "sparse indicators of a half": sparse.csr_array(0.5 * Y),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name, pairs, launched):
    bad = LABELS[name]
    for kind in ("new", "fitted", "warm", "multilabel"):
        said, expected = both(pairs[kind], "fit", X, bad)
        assert said == expected is not None
    said, expected = both(pairs["new"], "partial_fit", X, bad, classes=[0, 1, 2])
    assert said == expected is not None
    said, expected = both(pairs["fitted"], "partial_fit", X, bad)
    assert said == expected is not None
    ours, _ = pairs["fitted"]
    for method in GRADIENTS:
        assert refusal(ours, method, X, bad) is not None
    assert refusal(copy.deepcopy(ours), "fit", X, y, X_val=X, y_val=bad) is not None
    assert launched == []


OTHER_LABELS = {
    "unknown": np.where(y == 2, 9, y),
    "negative": y - 5,
    "names": NAMES,
    "three labels": Y,
    "two labels": Y[:, :2],
    "two labels, none given": 0 * Y[:, :2],
    "four labels": np.hstack([Y, Y[:, :1]]),
    "three labels, sparse": sparse.csr_array(Y),
    "two labels, sparse": sparse.csr_array(Y[:, :2]),
    "three classes": y,
}


@pytest.mark.parametrize("name", OTHER_LABELS)
@pytest.mark.parametrize(
    "kind", ["fitted", "binary", "names", "multilabel", "two labels", "warm", "warm binary"]
)
def test_labels_of_another_kind_than_before(name, kind, pairs, launched):
    """Targets of too few or too many columns would be read beyond their end."""
    other = OTHER_LABELS[name]
    methods = ("partial_fit", "fit") if kind.startswith("warm") else ("partial_fit",)
    for method in methods:
        said, expected = both(pairs[kind], method, X, other)
        assert said == expected
        assert launched == [] or expected is None
    ours, _ = pairs[kind]
    for method in GRADIENTS:
        # There, what is not known is said before what is not the same.
        assert (refusal(ours, method, X, other) is None) == (expected is None)
        assert launched == [] or expected is None


@pytest.mark.parametrize("method", ["partial_fit", *GRADIENTS])
@pytest.mark.parametrize("labels", [(y > 0).astype(int), np.zeros(60, int), Y[:, :1]])
def test_one_column_for_two_labels(method, labels, pairs, launched):
    """scikit-learn takes the column for both labels."""
    model = copy.deepcopy(pairs["two labels"][0])
    kind, text = refusal(model, method, X, labels)
    assert kind is ValueError
    assert text == "y must be an indicator matrix of 2 labels, as before."
    assert launched == []


CLASSES = {
    "none": None, "too few": [0, 1], "NaN": [0, 1, np.nan], "infinity": [0, 1, 2, np.inf],
    "a half": [0, 1, 2, 2.5], "names": ["a", "b", "c"], "2-D": [[0, 1, 2]],
    "a column": [[0], [1], [2]], "empty": [], "one": [0], "scalar": 3, "text": "abc",
    "None among them": [0, 1, None], "mixed": [0, 1, "2"], "set": {0, 1, 2},
    "complex": [0, 1, 2j], "bool": [True, False], "bytes": [b"a"],
    "objects": np.array([0, 1, 2], object),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name, pairs, launched):
    said, expected = both(pairs["new"], "partial_fit", X, y, classes=CLASSES[name])
    assert said == expected is not None
    if name != "none":
        said, expected = both(pairs["fitted"], "partial_fit", X, y, classes=CLASSES[name])
        assert said == expected is not None
    assert launched == []


WEIGHTS = {
    "NaN": one_of(np.ones(60), np.nan), "infinity": one_of(np.ones(60), np.inf),
    "2-D": np.ones((60, 1)), "3-D": np.ones((60, 1, 1)), "too few": np.ones(59), "empty": [],
    "text": "balanced", "list of text": ["a"] * 60, "complex": np.ones(60, complex),
    "dict": {"a": 1}, "sparse": sparse.csr_array(np.ones((60, 1))), "0-D": np.array(2.0),
    "None in objects": one_of(np.ones(60, object), None), "zeros": np.zeros(60), "zero": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_sample_weights(name, pairs, launched):
    bad = WEIGHTS[name]
    said, expected = both(pairs["fitted"], "fit", X, y, bad)
    if name.startswith("zero") and parse_version(sklearn.__version__) < parse_version("1.9"):
        expected = ValueError, "Sample weights must contain at least one non-zero number."
    assert said == expected is not None
    ours, _ = pairs["fitted"]
    fresh, _ = pairs["new"]
    assert refusal(ours, "partial_fit", X, y, bad) == said
    assert refusal(fresh, "partial_fit", X, y, bad, [0, 1, 2]) == said
    assert refusal(ours, "loss_gradients", X, y, bad) == said
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": bad}
    assert refusal(ours, "fit", X, y, **held_out) == said
    assert launched == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_for_all_is_looked_at_as_well(value, pairs, launched):
    """scikit-learn trains, and says that the data may contain large values."""
    ours, _ = pairs["fitted"]
    of_each = refusal(ours, "fit", X, y, np.full(60, value))
    for method in ("fit", "partial_fit", "loss_gradients"):
        assert refusal(ours, method, X, y, value) == of_each
    weighted = copy.deepcopy(ours).set_params(class_weight={0: value, 1: 1.0, 2: 1.0})
    _, text = refusal(weighted, "fit", X, y)
    assert text == of_each[1].replace("sample_weight", "class_weight")
    assert launched == []
