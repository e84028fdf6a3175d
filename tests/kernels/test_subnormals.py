"""Numbers below the smallest normal one: right, no slow path, and no matter who flushes them."""

import ctypes
import platform
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Features of these sizes, times weights of those, are of the order of 1.
SIZES = {np.float32: (1e-39, 1e38), np.float64: (1e-309, 1.5e308)}


def is_subnormal(values: Any) -> Any:
    return (np.abs(values) < np.finfo(values.dtype).tiny) & (values != 0)


def problem(dtype: Any) -> tuple[Any, list[Any], list[Any]]:
    """Return subnormal features, and the weights of 4-3-1 for them."""
    small, large = SIZES[dtype]
    rng = np.random.default_rng(0)
    X = (small * rng.uniform(0.5, 2.0, (50, 4))).astype(dtype)
    assert is_subnormal(X).all()
    coefs = [(large * rng.uniform(-1, 1, (4, 3))).astype(dtype), rng.normal(size=(3, 1))]
    return X, [coefs[0], coefs[1].astype(dtype)], [np.zeros(3, dtype), np.zeros(1, dtype)]


@dtypes
def test_predictions_and_gradients(dtype):
    X, coefs, intercepts = problem(dtype)
    model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1])
    W, v = (coef.astype(np.longdouble) for coef in coefs)
    x = X.astype(np.longdouble)
    hidden = 1 / (1 + np.exp(-(x @ W)))
    p = 1 / (1 + np.exp(-(hidden @ v)))
    assert np.ptp(hidden) > 0.01
    eps = float(np.finfo(dtype).eps)
    assert_allclose(model.activations(X)[1], hidden.astype(dtype), rtol=20 * eps)
    assert_allclose(model.predict_proba(X)[:, 1], p[:, 0].astype(dtype), rtol=20 * eps)
    y = np.arange(50) % 2
    delta = (p - y[:, np.newaxis]) @ v.T * hidden * (1 - hidden)
    _, gradients, _ = model.loss_gradients(X, y)
    # As precise as such a number can be, which is a multiple of the smallest.
    smallest = np.finfo(dtype).smallest_subnormal
    assert is_subnormal(gradients[0]).any()
    assert_allclose(
        gradients[0], (x.T @ delta / 50).astype(dtype), rtol=1e-3, atol=float(60 * smallest)
    )


@dtypes
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_feature_that_is_no_longer_there(solver, dtype):
    """What its weight was last moved by decays, down to nothing; step by step as by hand."""
    n_steps = 1500 if dtype is np.float32 else 8000
    X = np.zeros((n_steps, 2), dtype)
    X[:, 0] = np.random.default_rng(0).normal(size=n_steps)
    X[0, 1] = 1.0
    y = np.arange(n_steps) % 2
    parameters = {"solver": solver, "alpha": 0.0, "batch_size": 1, "shuffle": False}
    model = SigmoidMLPClassifier(
        (), learning_rate_init=0.01, nesterovs_momentum=False, max_iter=1, **parameters
    )
    start = {"coefs_init": [np.zeros((2, 1))], "intercepts_init": [np.zeros(1)]}
    model.set_params(warm_start=True).fit(X, y, **start)
    x = np.column_stack([X, np.ones(n_steps)]).astype(float)
    params, first, second = np.zeros(3), np.zeros(3), np.zeros(3)
    for t, (row, label) in enumerate(zip(x, y, strict=True), start=1):
        gradient = (expit(row @ params) - label) * row
        if solver == "sgd":
            first = 0.9 * first - 0.01 * gradient
            params += first
        else:
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            params -= rate * first / (np.sqrt(second) + 1e-8)
    rtol = 1e-3 if dtype is np.float32 else 1e-9
    assert_allclose(model.coefs_[0].ravel(), params[:2], rtol=rtol)
    assert_allclose(model.intercepts_[0], params[2:], rtol=rtol, atol=rtol * 1e-2)
    # Multiplying a subnormal number by 0.9 would round back to the same one in the end.
    assert model._solver_state["state"][1] == 0


def of_absent_features(dtype: Any, n_samples: int) -> tuple[Any, Any]:
    """Return samples of 10 features, of which 3 are always 0 and 3 from the 20th sample on."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 10)).astype(dtype)
    y = (X[:, 0] > 0).astype(int)
    X[:, 4:7] = 0.0
    X[20:, 7:] = 0.0
    return X, y


# Penalties, so that weights decay, each fast enough for the epochs below.
DECAYS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "alpha": 4.0, "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "alpha": 30.0},
    "nesterov": {"solver": "sgd", "alpha": 30.0},
    "adam": {"solver": "adam"},
}


@pytest.mark.thorough
@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS.keys())
@dtypes
def test_weights_that_decay_become_0_and_nothing_is_subnormal(decay, dtype):
    X, y = of_absent_features(dtype, 160)
    shared = decay | {"batch_size": 8, "shuffle": False}
    shared |= {"n_iter_no_change": 10**6, "max_iter": 1500, "random_state": 0}
    model = SigmoidMLPClassifier((8,), warm_start=True, **shared).fit(X, y)
    state = model._solver_state["state"]
    assert not any(is_subnormal(values).any() for values in (*model.coefs_, state))
    assert_array_equal(model.coefs_[0][4:7], 0.0)
    if dtype is np.float64:
        theirs = MLPClassifier((8,), activation="logistic", **shared).fit(X, y)
        for ours, other in zip(model.coefs_, theirs.coefs_, strict=True):
            assert_allclose(ours, other, rtol=1e-8, atol=1e-12)


def flush_subnormals(flushes: bool) -> None:
    """Set or clear the flags of this thread: of results, and of operands."""
    libm = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()
    assert libm.fegetenv(environment) == 0
    flags = 0x8040
    environment[7] = environment[7] | flags if flushes else environment[7] & ~flags
    assert libm.fesetenv(environment) == 0


@contextmanager
def flushed() -> Iterator[None]:
    flush_subnormals(True)
    try:
        yield
    finally:
        flush_subnormals(False)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux",
    reason="the flags are set in the environment of glibc on x86",
)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_thread_that_flushes_them_gets_the_same_bits(solver, n_jobs):
    """As one does in which a library was loaded that was built with -ffast-math."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 40)).astype(np.float32), rng.integers(2, size=1000)

    def train() -> list[Any]:
        model = SigmoidMLPClassifier(
            (64, 33), solver=solver, max_iter=3, batch_size=500, random_state=0, n_jobs=n_jobs
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        return [*model.coefs_, *model.intercepts_, model.predict_proba(X), model.loss_curve_]

    expected, found = train(), []

    def flushing() -> None:
        with flushed():
            assert np.float32(1e-38) * np.float32(0.1) == 0
            found.extend(train())

    thread = threading.Thread(target=flushing)
    thread.start()
    thread.join()
    for ours, theirs in zip(found, expected, strict=True):
        assert_array_equal(ours, theirs)


def seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.long
@dtypes
@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS.keys())
def test_features_that_are_always_0_take_at_most_twice_as_long(decay, dtype):
    """300-30-1 in batches of 8, 270 columns of them: 18 times before steps left 0 behind."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(2_000, 300)).astype(dtype)
    absent = normal * (np.arange(300) < 30)
    vanishing = normal * ((np.arange(300) < 30) | (np.arange(2_000) < 100)[:, np.newaxis])
    y = (normal[:, 0] > 0).astype(int)
    shared = decay | {"batch_size": 8, "n_iter_no_change": 10**6, "random_state": 0}
    shared |= {"warm_start": True, "n_jobs": 1}
    models = [SigmoidMLPClassifier((30,), **shared) for _ in range(3)]
    kinds = [X.astype(dtype) for X in (normal, absent, vanishing)]
    for model, X in zip(models, kinds, strict=True):
        model.set_params(max_iter=120).fit(X, y).set_params(max_iter=5)
    pairs = [*zip(models, kinds, strict=True)]
    rounds = [[seconds(lambda m=m, X=X: m.fit(X, y)) for m, X in pairs] for _ in range(15)]
    ratios = np.median([np.array(row[1:]) / row[0] for row in rounds], axis=0)
    print(f"{decay}, {np.dtype(dtype)}: absent and vanishing {ratios}")
    assert (ratios <= 2).all()


@pytest.mark.long
@dtypes
@pytest.mark.parametrize("work", ["predict", "sgd", "adam", "momentum that decays"])
def test_they_take_at_most_twice_as_long(work, dtype):
    """Alternating, so that what else the machine does is shared."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(20_000, 50)).astype(dtype)
    tiny = (normal * np.longdouble(np.finfo(dtype).tiny) / 100).astype(dtype)
    assert is_subnormal(tiny).mean() > 0.99
    if work == "momentum that decays":
        # Features that were there in the first samples only.
        tiny = normal * (np.arange(len(normal)) < 1000)[:, np.newaxis]
    y = rng.integers(2, size=len(normal))
    solver = "adam" if work == "adam" else "sgd"
    model = SigmoidMLPClassifier((30,), solver=solver, max_iter=3, random_state=0, n_jobs=1)

    def call(X: Any) -> Any:
        return model.predict_proba(X) if work == "predict" else model.fit(X, y)

    model.fit(normal, y)
    call(tiny)
    ratios = [seconds(lambda: call(tiny)) / seconds(lambda: call(normal)) for _ in range(15)]
    print(f"{work}, {np.dtype(dtype)}: {np.median(ratios):.2f} of {sorted(ratios)}")
    assert np.median(ratios) <= 2
