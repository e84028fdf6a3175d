"""`save` and `load` of regressors: what comes back is what went in, and nothing else is read."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnet
from fastnet import SigmoidMLPRegressor

from .._support.model_files import (
    DELETED,
    REGRESSORS,
    edited,
    example,
    file_of,
    header_of,
    load_bytes,
    members_of,
    refused,
    same,
    with_array,
)

kinds = pytest.mark.parametrize("kind", REGRESSORS)


@kinds
def test_what_comes_back_is_what_went_in(kind: str) -> None:
    model, X, y = example(kind)
    again = load_bytes(file_of(kind))
    assert type(again) is SigmoidMLPRegressor
    assert again.get_params() == model.get_params()
    assert_array_equal(again.predict(X), model.predict(X))
    copy = pickle.loads(pickle.dumps(model))
    assert same(vars(again), vars(copy))
    for estimator in (copy, again):
        estimator.partial_fit(X, y).partial_fit(X, y)
    assert same(vars(again), vars(copy))


@kinds
def test_a_file_holds_no_labels(kind: str) -> None:
    header = header_of(file_of(kind))
    assert header["format"] == "fastnet.SigmoidMLPRegressor"
    assert "y_type" not in header
    assert "classes.npy" not in members_of(file_of(kind))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"out_activation": "softmax"}, "out_activation must not be 'softmax'"),
        ({"out_activation": "logistic"}, "out_activation must not be 'logistic'"),
        ({"out_activation": 1}, "out_activation"),
        ({"out_activation": DELETED}, "out_activation"),
        ({"format": "fastnet.SigmoidMLPClassifier"}, "'header' lacks"),
        ({"y_type": "binary"}, "y_type"),
        ({"parameters__loss": "log_loss"}, "'loss' parameter"),
        ({"parameters__class_weight": None}, "no parameter class_weight"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_header_that_is_none_of_a_regressor(values: Any, message: str, tmp_path: Path) -> None:
    refused(edited("regression", **values), message, tmp_path)


def test_labels_must_not_be_there(tmp_path: Path) -> None:
    content = with_array(file_of("regression"), "classes", np.arange(2))
    refused(content, "'classes' is missing or must not be there", tmp_path)


def test_a_network_of_nothing(tmp_path: Path) -> None:
    content = file_of("regression, no hidden layer")
    for name, shape in (("coefs_0", (0, 0)), ("intercepts_0", 0)):
        content = with_array(content, name, np.ones(shape))
    refused(content, r"coefs\[0\] must be a matrix, got shape \(0, 0\)", tmp_path)


def test_outputs_that_were_changed_are_not_saved(tmp_path: Path) -> None:
    for kind, activation in (("regression", "softmax"), ("binary", "identity")):
        model = load_bytes(file_of(kind))
        model.out_activation_ = activation
        with pytest.raises(ValueError, match=f"out_activation_ must be .* got {activation!r}"):
            fastnet.save(model, tmp_path / "model")
