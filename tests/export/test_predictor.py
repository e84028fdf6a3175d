"""`Predictor`: the bits of the model, for one row and for many, whoever calls it."""

import copy
import pickle
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler

from fastnet import Predictor, SigmoidMLPClassifier, SigmoidMLPRegressor
from fastnet._engine import dispatch

from .._support.exports import (
    CLASSIFIERS,
    KINDS,
    LABELS,
    PIPELINES,
    fitted,
    pipeline,
    predicted,
    rows,
    tolerance,
)

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
kinds = pytest.mark.parametrize("kind", KINDS)


def expected(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@dtypes
@kinds
def test_it_returns_what_the_model_does(kind: str, dtype: str) -> None:
    model = fitted(kind, dtype)
    predictor = Predictor(model)
    X = rows(dtype, 300)
    for n in (1, 2, 10, 100, 300):
        assert_array_equal(predictor(X[:n]), expected(model, X[:n]), strict=True)
    for x in X[:20]:
        assert_array_equal(predictor(x), expected(model, x[np.newaxis]).reshape(-1), strict=True)


@dtypes
@kinds
def test_it_writes_to_out(kind: str, dtype: str) -> None:
    model = fitted(kind, dtype)
    predictor = Predictor(model)
    X = rows(dtype, 200)
    for given in (X[0], X[:1], X[:7], X):
        wanted = predictor(given)
        out = np.full_like(wanted, np.nan)
        assert predictor(given, out=out) is out
        assert_array_equal(out, wanted, strict=True)


def test_out_that_does_not_fit_is_refused() -> None:
    predictor = Predictor(fitted("several", "float64"))
    x = rows("float64", 1)[0]
    read_only = np.empty(4)
    read_only.flags.writeable = False
    bad: list[Any] = [
        np.empty(3), np.empty((1, 4)), np.empty(4, np.float32), np.empty(8)[::2], read_only, [0] * 4
    ]  # fmt: skip
    for out in bad:
        for row in (x, x.tolist()):
            with pytest.raises(ValueError, match="out must be"):
                predictor(row, out=out)


@dtypes
def test_rows_in_any_form_are_the_same(dtype: str) -> None:
    model = fitted("several", dtype)
    predictor = Predictor(model)
    X = rows(dtype, 3)
    wanted = predictor(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    frame = pd.DataFrame(X)
    forms: list[Any] = [
        X.tolist(), np.asfortranarray(X), X[::-1][::-1], read_only, X.astype(">f8"), X.astype("O"),
        X.astype("f8"), sparse.csr_array(X), sparse.csc_array(X), frame,
    ]  # fmt: skip
    for form in forms:
        assert_array_equal(predictor(form), wanted, strict=True)
    for x in (X[1].tolist(), tuple(X[1]), X.T[:, 1], read_only[1], X[1].astype("O"), frame.loc[1]):
        assert_array_equal(predictor(x), wanted[1], strict=True)
    integers = np.arange(6) - 3
    assert_array_equal(predictor(integers), predictor(integers.astype(dtype)), strict=True)


@pytest.mark.parametrize("kind", ["several", "squared error", "one target"])
def test_it_refuses_what_the_model_refuses(kind: str) -> None:
    model = fitted(kind, "float32")
    predictor = Predictor(model)
    x = rows("float32", 1)[0]
    out = np.full_like(predictor(x), 7)
    bad: list[Any] = [
        [np.nan, *x[1:]], [np.inf, *x[1:]], [1e300, *x[1:]], x[:5], ["a"] * 6, [1j] * 6
    ]  # fmt: skip
    for row in bad:
        messages = set()
        for call in (lambda row: model.predict([row]), predictor, partial(predictor, out=out)):
            with pytest.raises((TypeError, ValueError), match=r".") as error:
                call(row)
            messages.add(str(error.value))
        assert len(messages) == 1
        assert (out == 7).all()
    for matrix in (np.empty((0, 6), "f4"), np.zeros((2, 3, 6), "f4"), np.zeros((), "f4")):
        with pytest.raises(ValueError, match=r"sample|dim|array"):
            predictor(matrix)


def test_names_of_columns_are_checked_where_there_are_any() -> None:
    X = rows("float64", 200)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SigmoidMLPClassifier((4,), max_iter=2).fit(frame, X[:, 0] > 0)
    predictor = Predictor(model)
    assert_array_equal(predictor(frame), model.predict_proba(frame))
    # Plain rows are in the order of training, and warn of nothing.
    assert_array_equal(predictor(X), model.predict_proba(frame))
    assert_array_equal(predictor(X[0]), model.predict_proba(frame)[0])
    with pytest.raises(ValueError, match="feature names should match"):
        predictor(frame[list("bacdef")])


@dtypes
@pytest.mark.parametrize("regressor", [False, True])
@pytest.mark.parametrize("kind", PIPELINES)
def test_affine_steps_are_folded(kind: str, regressor: bool, dtype: str) -> None:
    model = pipeline(kind, dtype, regressor=regressor)
    predictor = Predictor(model)
    assert predictor.n_features_in_ == model.n_features_in_
    X = (3 * rows(dtype, 500) + 1).astype(dtype)
    wanted = expected(model, X)
    assert predictor(X).dtype == wanted.dtype
    assert_allclose(predictor(X), wanted, rtol=0, atol=10 * tolerance(dtype))
    assert_allclose(predictor(X[3]), wanted[3], rtol=0, atol=10 * tolerance(dtype))


def test_a_folded_pipeline_checks_its_own_features() -> None:
    X = rows("float64", 200)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(StandardScaler(), SigmoidMLPClassifier((4,), max_iter=2))
        model.fit(frame, X[:, 0] > 0)
    predictor = Predictor(model)
    assert_allclose(predictor(frame), model.predict_proba(frame), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        predictor(frame[list("bacdef")])
    with pytest.raises(ValueError, match="NaN"):
        predictor(np.full(6, np.nan))


def test_other_models_are_refused() -> None:
    class Derived(SigmoidMLPClassifier):
        pass

    class Scaler(StandardScaler):
        pass

    X, y = rows("float64", 60), np.arange(60) % 2
    model = fitted("two", "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(clone(model), {"alpha": [0, 1]}).fit(X, y)
        derived = Derived((2,), max_iter=1).fit(X, y)
        behind = [
            make_pipeline(step, clone(model)).fit(X, y) for step in (Scaler(), PowerTransformer())
        ]
    with pytest.raises(TypeError, match="best_estimator_"):
        Predictor(search)
    with pytest.raises(TypeError, match="Derived"):
        Predictor(derived)
    for pipe, name in zip(behind, ("Scaler", "PowerTransformer"), strict=True):
        with pytest.raises(TypeError, match=f"{name} cannot be folded"):
            Predictor(pipe)
    with pytest.raises(ValueError, match="clip=True"):
        Predictor(make_pipeline(MinMaxScaler(clip=True).fit(X), model))
    with pytest.raises(NotFittedError):
        Predictor(SigmoidMLPRegressor())
    with pytest.raises(NotFittedError, match="StandardScaler"):
        Predictor(make_pipeline(StandardScaler(), model))
    broken = copy.deepcopy(model)
    broken.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        Predictor(broken)
    narrow = copy.deepcopy(model)
    narrow.n_features_in_ = 5
    with pytest.raises(ValueError, match="n_features_in_"):
        Predictor(narrow)


CHANGES = {
    "fit": lambda m: m.fit(rows("float64", 60), LABELS["several"][:60]),
    "partial_fit": lambda m: m.partial_fit(rows("float64", 60), LABELS["several"][:60]),
    "coefs_": lambda m: setattr(m, "coefs_", [2 * coef for coef in m.coefs_]),
    "an array": lambda m: m.coefs_.__setitem__(0, 2 * m.coefs_[0]),
    "in place": lambda m: np.multiply(m.coefs_[0], 2, out=m.coefs_[0]),
    "set_params": lambda m: m.set_params(n_jobs=1, hidden_layer_sizes=(9,)),
    "unpickling": lambda m: m.__setstate__(fitted("two", "float64").__getstate__()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Training has hardly moved")
def test_it_keeps_the_model_that_it_was_made_of(change: str) -> None:
    model = copy.deepcopy(fitted("several", "float64"))
    X = rows("float64", 5)
    predictor = Predictor(model)
    before = predictor(X)
    with warnings.catch_warnings():
        # The copy was trained without its solver's state.
        warnings.filterwarnings("ignore", "Training goes on with a fresh state", UserWarning)
        CHANGES[change](model)
    assert_array_equal(predictor(X), before, strict=True)
    assert_array_equal(Predictor(model)(X), model.predict_proba(X), strict=True)


def test_it_changes_nothing() -> None:
    model = fitted("several", "float32")
    before = pickle.dumps(model)
    X = rows("float32", 3)
    kept = X.copy()
    predictor = Predictor(model)
    predictor(X), predictor(X[0])
    assert pickle.dumps(model) == before
    assert_array_equal(X, kept)


@dtypes
@kinds
def test_it_can_be_copied_and_pickled(kind: str, dtype: str) -> None:
    predictor = Predictor(fitted(kind, dtype))
    X = rows(dtype, 9)
    for again in (
        copy.copy(predictor), copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))
    ):  # fmt: skip
        assert_array_equal(again(X), predictor(X), strict=True)
        assert_array_equal(again(X[0]), predictor(X[0]), strict=True)
        assert again.n_features_in_ == predictor.n_features_in_ == 6
        if kind in CLASSIFIERS:
            assert_array_equal(again.classes_, predictor.classes_)


def test_of_a_regressor_there_are_no_classes() -> None:
    assert not hasattr(Predictor(fitted("one target", "float32")), "classes_")
    assert "SigmoidMLPClassifier" in repr(Predictor(fitted("two", "float32")))


@dtypes
def test_threads_call_it_at_a_time(dtype: str) -> None:
    predictor = Predictor(fitted("two hidden layers", dtype))
    X = rows(dtype, 200)
    wanted = predictor(X)

    def work(seed: int) -> bool:
        order = np.random.default_rng(seed).permutation(len(X))
        return all(bool((predictor(X[i]) == wanted[i]).all()) for i in order)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


class Lying(np.ndarray):
    """An array that says that it is another."""

    shape = (6,)  # type: ignore[assignment]
    dtype = np.dtype("float64")  # type: ignore[assignment]


def test_arrays_that_lie_do_not_reach_the_kernel() -> None:
    predictor = Predictor(fitted("several", "float64"))
    x = rows("float64", 1)[0]
    lying = np.zeros(2, "f4").view(Lying)
    with pytest.raises(ValueError, match="out must be"):
        predictor(x, out=np.empty(2).view(Lying))
    with pytest.raises(ValueError, match=r"features|ambiguous|dimension"):
        predictor(lying)


def test_a_handler_of_a_signal_calls_it() -> None:
    predictor = Predictor(fitted("two hidden layers", "float32"))
    x = rows("float32", 1)[0]
    wanted = predictor(x)
    found: list[bool] = []
    before = signal.signal(
        signal.SIGALRM, lambda *args: found.append(bool((predictor(x) == wanted).all()))
    )
    signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
    try:
        while len(found) < 300:
            assert_array_equal(predictor(x), wanted)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(found)


# While another thread predicts, children are forked, and predict.
FORKING = """
import os, threading, warnings
import numpy as np
from fastnet import Predictor, SigmoidMLPClassifier
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(30, 6))
predictor = Predictor(SigmoidMLPClassifier((50,), max_iter=2).fit(X, np.arange(30) % 3))
wanted = predictor(X)
done = threading.Event()
def work():
    while not done.is_set():
        predictor(X[0])
thread = threading.Thread(target=work)
thread.start()
status = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        same = (predictor(X) == wanted).all() and (predictor(X[1]) == wanted[1]).all()
        os._exit(0 if same else 1)
    status.append(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(status)
"""


@pytest.mark.processes
def test_children_that_were_forked_call_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == str([0] * 20), done.stderr


def test_a_large_network_counts_as_a_busy_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MIN_COUNTED_WORK", 10)
    counted = []

    def run_serial(function: Any, *args: Any) -> Any:
        counted.append(function)
        return function(*args)

    monkeypatch.setattr(dispatch, "run_serial", run_serial)
    model = fitted("several", "float64")
    x = rows("float64", 1)[0]
    wanted = model.predict_proba(x[np.newaxis])[0]
    assert_array_equal(Predictor(model)(x), wanted, strict=True)
    assert len(counted) == 2


@dtypes
def test_labels_are_those_of_the_probabilities(dtype: str) -> None:
    for kind in ("two", "several", "text", "booleans", "floats", "large", "squared error"):
        model = fitted(kind, dtype)
        predictor = Predictor(model)
        X = rows(dtype, 500)
        _, y = predicted(model, X)
        assert_array_equal(predictor.classes_[predictor(X).argmax(axis=1)], y.ravel())
