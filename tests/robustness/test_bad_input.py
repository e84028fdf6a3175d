"""Bad features: scikit-learn's errors, word for word, before a kernel runs; nothing changes."""

import copy
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from .._support.refusals import (
    GRADIENTS,
    PREDICTING,
    X,
    both,
    fitted,
    record_launches,
    refusal,
    y,
)  # fmt: skip

# What `MLPClassifier` has of those methods.
SHARED = ("predict", "predict_proba", "predict_log_proba")


def changed(value: Any, dtype: Any = float) -> Any:
    """Return features of which one is replaced."""
    Z = X.astype(dtype)
    Z[5, 2] = value
    return Z


class ArrayLike:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


FEATURES = {
    "NaN": changed(np.nan),
    "infinity": changed(np.inf),
    "minus infinity": changed(-np.inf),
    "NaN in an array-like": ArrayLike(changed(np.nan)),
    "NaN in a list": changed(np.nan).tolist(),
    "1-D": X[0],
    "3-D": X[None],
    "scalar": 3.0,
    "0-D": np.array(1.0),
    "no rows": X[:0],
    "no columns": X[:, :0],
    "empty list": [],
    "list of an empty list": [[]],
    "ragged": [[1, 2, 3, 4], [1, 2]],
    "complex": X.astype(complex),
    "object with text": changed("a", object),
    "object with None": changed(None, object),
    "object with NaN": changed(np.nan, object),
    "object with a list": changed([1, 2], object),
    "integers beyond float64": [[10**400] * 4] * 60,
    "matrix": X.view(np.matrix),
    "1-D sparse": sparse.coo_array(X[0]),
    "sparse NaN": sparse.csr_array(changed(np.nan)),
    "sparse infinity, by columns": sparse.csc_array(changed(np.inf)),
    "sparse NaN, by coordinates": sparse.coo_array(changed(np.nan)),
    "sparse complex": sparse.csr_array(X.astype(complex)),
    "sparse without rows": sparse.csr_array(X[:0]),
    "sparse without columns": sparse.csr_array(X[:, :0]),
    # Of these only a fit is refused by scikit-learn in good words.
    "text": "abc",
    "list of text": [["a"] * 4] * 60,
    "None": None,
    "dict": {"a": 1},
    "structured": np.zeros(60, dtype=[("a", float), ("b", float)]),
    "float16 infinity": changed(np.inf, np.float16),
}  # fmt: skip
WRONG_NUMBER = {
    "too many": np.hstack([X, X]),
    "too few": X[:, :3],
    "too many, sparse": sparse.csr_array(np.hstack([X, X])),
}
ONLY_IN_FIT = ("text", "list of text", "None", "dict", "structured", "float16 infinity")


@pytest.mark.parametrize("name", [*FEATURES, *WRONG_NUMBER])
def test_features(name, pairs, launched):
    bad = (FEATURES | WRONG_NUMBER)[name]
    if name in FEATURES:
        for kind in ("new", "fitted"):
            said, expected = both(pairs[kind], "fit", bad, y)
            assert said == expected is not None
        said, expected = both(pairs["new"], "partial_fit", bad, y, classes=[0, 1, 2])
        assert said == expected is not None
    incremental, expected = both(pairs["fitted"], "partial_fit", bad, y)
    assert incremental == expected is not None
    ours, theirs = pairs["fitted"]
    for method in GRADIENTS:
        assert refusal(ours, method, bad, y) == incremental
    if bad is not None:
        held_out = {"X_val": bad, "y_val": y}
        assert refusal(copy.deepcopy(ours), "fit", X, y, **held_out) == incremental
    assert launched == []
    for method in (*PREDICTING, "score"):
        theirs_is_it = method in SHARED and name not in ONLY_IN_FIT
        expected = refusal(theirs, method, bad) if theirs_is_it else incremental
        if method == "score":
            assert refusal(ours, method, bad, y) == incremental
        else:
            assert refusal(ours, method, bad) == expected
    # A pass of its own over dense features takes a third of the time of a prediction.
    assert launched == [] or any(word in incremental[1] for word in ("NaN", "infinity"))


@pytest.mark.parametrize("kind", ["strings", "bytes", "objects", "lists of strings"])
def test_numbers_that_are_written_out_are_taken_by_all(kind, pairs):
    """scikit-learn takes them in a fit only."""
    given = {
        "strings": X.astype(str),
        "bytes": X.astype("S32"),
        "objects": X.astype(object),
        "lists of strings": X.astype(str).tolist(),
    }[kind]
    ours, _ = pairs["fitted"]
    for method in ("predict_proba", "input_gradients"):
        expected = getattr(ours, method)(X)
        np.testing.assert_array_equal(getattr(ours, method)(given), expected)


def test_missing_values_of_pandas(pairs, launched):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    numbers = pandas.DataFrame(X, columns=list("abcd"))
    bad = [
        numbers.convert_dtypes().mask(numbers > 1),
        pandas.DataFrame({name: pandas.array([1, pandas.NA] * 30, "Int64") for name in "abcd"}),
        pandas.DataFrame({name: pandas.Categorical(["u", "v"] * 30) for name in "abcd"}),
        numbers["a"],
        numbers[[]],
        numbers.rename(columns={"a": 1}),
    ]
    for frame in bad:
        said, expected = both(pairs["new"], "fit", frame, y)
        assert said == expected is not None
    for labels in (
        pandas.array([1, 0, pandas.NA] * 20, "Int64"),
        pandas.array([True, False, pandas.NA] * 20, "boolean"),
        pandas.Categorical([None, "a", "b"] * 20),
    ):
        said, expected = both(pairs["new"], "fit", X, labels)
        assert said == expected is not None
    weights = pandas.Series([1.0, None] * 30)
    said, expected = both(pairs["new"], "fit", X, y, weights)
    assert said == expected is not None
    assert launched == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_names_of_features(monkeypatch):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    models = fitted(frame, y)
    launched = record_launches(monkeypatch)
    for bad in (
        frame[list("dcba")], frame[list("abc")], frame.assign(e=1.0),
        frame.rename(columns={"a": "z"}), frame.rename(columns={"a": 1}),
    ):  # fmt: skip
        said, expected = both(models, "partial_fit", bad, y)
        assert said == expected is not None
        for method in SHARED:
            said, expected = both(models, method, bad)
            assert said == expected is not None
        for method in PREDICTING:
            assert refusal(models[0], method, bad) == expected
    assert launched == []
