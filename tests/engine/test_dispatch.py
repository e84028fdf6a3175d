"""Dispatch: how many threads work on a call, with the same bits on any number of them."""

import os
import warnings

import numba
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor, kernels
from fastnet._engine import dispatch

needs_two_threads = pytest.mark.skipif(
    dispatch.available_threads() < 2, reason="one core: nobody helps here"
)

OPTIONS = [{"solver": "sgd"}, {"solver": "adam", "max_grad_norm": 0.01}, {"solver": "rprop"}]


def work(dtype=np.float32):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 40)).astype(dtype)
    return X, rng.integers(3, size=len(X))


def fit(n_jobs, X, y, hidden=(64, 33), **parameters):
    model = SigmoidMLPClassifier(
        hidden, batch_size=300, max_iter=2, random_state=0, n_jobs=n_jobs, **parameters
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.fixture
def shared(monkeypatch):
    """Return a list to which every call of a kernel adds it, and on how many threads it is."""
    calls = []
    share_out = dispatch._share_out

    def recorded(function, args, n_workers):
        calls.append((function, n_workers))
        share_out(function, args, n_workers)

    monkeypatch.setattr(dispatch, "_share_out", recorded)
    return calls


@needs_two_threads
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("hidden", [(32,), (600, 500)], ids=str)
def test_same_bits_on_one_thread_and_two(dtype, options, hidden, shared):
    X, y = work(dtype)
    # The first call of a kernel is not shared.
    fit(1, X, y, hidden, **options).predict_proba(X)
    shared.clear()
    two, p_two = (model := fit(2, X, y, hidden, **options)), model.predict_proba(X)
    trained, *_, predicted = (kernel for kernel, _ in shared)
    form = kernels.train_blocks if len(hidden) == 1 else kernels.train_batches
    assert trained is form.serial
    assert predicted is kernels.forward.serial
    assert {n_threads for _, n_threads in shared} == {2}
    shared.clear()
    one, p_one = (model := fit(1, X, y, hidden, **options)), model.predict_proba(X)
    assert {n_threads for _, n_threads in shared} == {1}
    for a, b in zip(one.coefs_ + one.intercepts_, two.coefs_ + two.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == two.loss_curve_
    np.testing.assert_array_equal(p_one, p_two)


@needs_two_threads
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_same_bits_of_regression_on_one_thread_and_two(loss, shared):
    X, _ = work()
    y = np.abs(X[:, :2])

    def coefs(n_jobs):
        model = SigmoidMLPRegressor(
            loss, (32,), batch_size=300, max_iter=2, random_state=0, n_jobs=n_jobs
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, y).coefs_

    # The first call of a kernel is not shared.
    one = coefs(1)
    shared.clear()
    for a, b in zip(one, coefs(2), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {n_threads for _, n_threads in shared} == {2}


def threads_of_calls(shared, calls, work=0, raises=None):
    """Return on how many threads calls of a new kernel are, of a dtype and dense or sparse."""

    def serial(*args):
        if raises is not None:
            raise raises

    kernel = kernels.Kernel(serial, None)
    for dtype, is_dense in calls:
        try:
            indices = None if is_dense else np.empty(0)
            dispatch.run(kernel, 2, work, (np.empty(0, dtype), indices, indices, np.empty(0)))
        except MemoryError:
            assert raises is not None
    return [n_threads for _, n_threads in shared]


@needs_two_threads
def test_the_first_call_of_a_kind_is_not_shared(shared):
    """It compiles, or loads what was compiled."""
    calls = [(dtype, is_dense) for dtype in ("f4", "f8") for is_dense in (True, True, False, False)]
    assert threads_of_calls(shared, calls) == [1, 2] * 4


@needs_two_threads
def test_a_call_that_raises_has_not_compiled(shared):
    assert threads_of_calls(shared, [("f4", True)] * 3, raises=MemoryError()) == [1] * 3


@needs_two_threads
def test_helpers_are_not_woken_for_little(shared, monkeypatch):
    monkeypatch.setattr(dispatch, "MIN_CALL_WORK", 100)
    assert threads_of_calls(shared, [("f4", True)] * 2, work=99) == [1, 1]
    shared.clear()
    assert threads_of_calls(shared, [("f4", True)] * 2, work=100) == [1, 2]


def test_small_phases_stay_on_one_thread(monkeypatch):
    monkeypatch.setattr(dispatch, "MIN_SHARED_WORK", 100)
    assert dispatch.n_workers_for(99, 8) == 1
    assert dispatch.n_workers_for(100, 8) == 8


@pytest.mark.parametrize("n_parts", [0, 1, 7, 1000, 2**40])
@pytest.mark.parametrize("work", [0, 1, 10**4, 10**7, 10**15])
def test_blocks_are_all_the_work_and_not_too_many(n_parts, work, monkeypatch):
    monkeypatch.setattr(dispatch, "BLOCK_WORK", 10**6)
    size, n_blocks, _ = dispatch.shares(work, n_parts, 1)
    assert 0 <= n_blocks * size - n_parts < size
    assert n_blocks <= kernels.MOST_BLOCKS
    # No more than a block's work in one, but where that is a part, or there would be too many.
    assert size == 1 or size * work <= 10**6 * n_parts or n_blocks > kernels.MOST_BLOCKS // 2


def test_n_jobs_means_what_joblib_says():
    available = dispatch.effective_n_threads(None)
    assert available == min(len(os.sched_getaffinity(0)), numba.config.NUMBA_NUM_THREADS)
    assert dispatch.effective_n_threads(-1) == available
    assert dispatch.effective_n_threads(1) == 1
    assert dispatch.effective_n_threads(10_000) == available
    with pytest.raises(ValueError, match="n_jobs"):
        dispatch.effective_n_threads(0)


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same():
    """Its parent's helpers are not there: it waits for none of them."""
    X, y = work()
    fit(2, X, y)
    expected = fit(2, X, y).coefs_[0]
    assert dispatch.available_threads() == 1 or dispatch._helpers._all
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if np.array_equal(fit(2, X, y).coefs_[0], expected) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0
