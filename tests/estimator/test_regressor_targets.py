"""Targets of regression that cannot be trained on: an error in time, and nothing has changed."""

import copy
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.neural_network import MLPRegressor

from fastnet import SigmoidMLPRegressor

from .._support.refusals import record_launches

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = RNG.normal(size=40)
TWO = RNG.normal(size=(40, 2))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(y: Any = Y, dtype: Any = np.float64, **parameters: Any) -> SigmoidMLPRegressor:
    model = SigmoidMLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0, **parameters)
    return model.fit(X.astype(dtype), y)


def validate(model: SigmoidMLPRegressor, X: Any, y: Any) -> Any:
    good = np.abs(TWO) if model.n_outputs_ == 2 else np.abs(Y)
    return model.fit(X, good, X_val=X, y_val=y)


CALLS = {
    "fit": SigmoidMLPRegressor.fit,
    "partial_fit": SigmoidMLPRegressor.partial_fit,
    "y_val": validate,
    "loss_gradients": SigmoidMLPRegressor.loss_gradients,
    "sample_gradients": SigmoidMLPRegressor.sample_gradients,
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
WRONG = {
    "None": (np.array([1.0, None] * 20, object), "NaN"),
    "infinite objects": (np.array([1.0, np.inf] * 20, object), "infinity"),
    "text": (np.array(["1.5"] * 40), "real numbers"),
    "dates": (np.full(40, np.datetime64("2026-11-28")), "real numbers"),
    "complex": (Y + 0j, "[Cc]omplex"),
    "sparse": (sparse.csr_array(TWO), "[Ss]parse"),
    "NaN": (np.full(40, np.nan), "NaN"),
}


def refused(
    monkeypatch: pytest.MonkeyPatch, model: Any, call: Any, X: Any, y: Any, match: str
) -> None:
    """See that a call raises an error, before a kernel is called, and changes nothing."""
    before = copy.deepcopy(vars(model))
    launched = record_launches(monkeypatch)
    with pytest.raises((ValueError, TypeError), match=match):
        call(model, X, y)
    assert launched == []
    assert vars(model).keys() == before.keys()
    for name in ("coefs_", "intercepts_"):
        for now, then in zip(getattr(model, name), before[name], strict=True):
            assert_array_equal(now, then)
    assert model.loss_curve_ == before["loss_curve_"]
    assert model.out_activation_ == before["out_activation_"]


@each_call
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_are_no_numbers(call: Any, loss: str, wrong: str, monkeypatch: Any) -> None:
    y, match = WRONG[wrong]
    refused(monkeypatch, fitted(np.abs(Y), loss=loss), call, X, y, match)


@each_call
def test_negative_ones_have_no_deviance(call: Any, monkeypatch: Any) -> None:
    model = fitted(np.abs(Y), loss="poisson")
    refused(monkeypatch, model, call, X, Y, "negative, and loss='poisson' allows none")


@each_call
def test_ones_too_large_for_the_dtype(call: Any, monkeypatch: Any) -> None:
    model = fitted(dtype=np.float32)
    refused(monkeypatch, model, call, X.astype(np.float32), 1e39 * Y, "y contains infinity")


@each_call
@pytest.mark.parametrize(("known", "given"), [(Y, TWO), (TWO, Y)], ids=["2 for 1", "1 for 2"])
def test_another_number_of_them(call: Any, known: Any, given: Any, monkeypatch: Any) -> None:
    model = fitted(known).set_params(warm_start=True)
    match = rf"y has {given.ndim} output\(s\), but the network has {known.ndim}"
    refused(monkeypatch, model, call, X, given, match)


@pytest.mark.parametrize(
    "y", [np.full(40, np.nan), Y[:9], np.full(40, np.inf), np.zeros((40, 2, 2))]
)
def test_errors_are_scikit_learns(y: Any) -> None:
    messages = []
    for model in (MLPRegressor(), SigmoidMLPRegressor()):
        with pytest.raises(ValueError, match=r"NaN|infinity|inconsistent|dim") as caught:
            model.fit(X, y)
        messages.append(str(caught.value).replace("SigmoidMLP", "MLP"))
    assert messages[0] == messages[1]


def test_a_column_is_taken_with_a_word() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = fitted(Y.reshape(-1, 1))
    assert model.predict(X).shape == (40,)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float16, np.bool_, ">f8", object])
def test_numbers_of_every_type_are_taken(dtype: Any) -> None:
    y = (Y > 0).astype(dtype)
    assert_array_equal(fitted(y).coefs_[0], fitted((Y > 0).astype(float)).coefs_[0])


def test_numbers_that_start_where_they_cannot_are_copied() -> None:
    record = np.zeros(40, [("a", "i1"), ("y", "f8")])
    record["y"] = Y
    assert not record["y"].flags.aligned
    assert_array_equal(fitted(record["y"]).coefs_[0], fitted().coefs_[0])


def test_without_a_fit() -> None:
    for call in ("predict", "activations", "input_gradients", "to_sklearn"):
        with pytest.raises(NotFittedError):
            getattr(SigmoidMLPRegressor(), call)(*[X][: call != "to_sklearn"])


def test_large_targets_are_named_where_training_diverges() -> None:
    y = np.full(40, 1e300)
    with pytest.raises(ValueError, match=r"in y 1e\+300, .* or standardise the targets"):
        fitted(y, solver="sgd")


def test_training_that_goes_on_looks_at_parameters_again() -> None:
    for name, value in (("alpha", -1.0), ("loss", "log_loss"), ("batch_size", 0)):
        model = fitted()
        with pytest.raises(ValueError, match=f"The '{name}' parameter of SigmoidMLPRegressor"):
            model.set_params(**{name: value}).partial_fit(X, Y)


def test_the_warning_of_a_fit_that_ends_early_is_the_classifiers() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        fitted()
