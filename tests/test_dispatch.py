"""Threads: the same bits on any number of them, and the caller's setting restored."""

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastnet import SigmoidMLPClassifier, _dispatch, kernels

needs_two_threads = pytest.mark.skipif(
    numba.config.NUMBA_NUM_THREADS < 2, reason="one core: nothing runs in parallel here"
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


@needs_two_threads
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("hidden", [(32,), (600, 500)], ids=str)
def test_same_bits_on_one_thread_and_two(dtype, options, hidden, monkeypatch):
    X, y = work(dtype)
    launched = []
    run_parallel = _dispatch._run_parallel

    def recorded(kernel, n_threads, *args):
        launched.append((kernel, n_threads))
        return run_parallel(kernel, n_threads, *args)

    monkeypatch.setattr(_dispatch, "_run_parallel", recorded)
    two, p_two = (model := fit(2, X, y, hidden, **options)), model.predict_proba(X)
    trained, *_, predicted = (kernel for kernel, _ in launched)
    assert trained is (kernels.train_blocks if len(hidden) == 1 else kernels.train_batches)
    assert predicted is kernels.forward
    assert {n_threads for _, n_threads in launched} == {2}
    launched.clear()
    one, p_one = (model := fit(1, X, y, hidden, **options)), model.predict_proba(X)
    assert launched == []
    for a, b in zip(one.coefs_ + one.intercepts_, two.coefs_ + two.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == two.loss_curve_
    np.testing.assert_array_equal(p_one, p_two)


class CountingForm:
    """Stands for a compiled function that takes a second."""

    def __init__(self, clock):
        self.clock = clock
        self.signatures = []
        self.n_calls = 0

    def __call__(self, *args):
        self.n_calls += 1
        # The first call compiles.
        self.clock[0] += 1.0 if self.signatures else 10.0
        self.signatures = ["compiled"]


class FakeForms:
    """Stands for a kernel whose parallel form may be in the cache."""

    def __init__(self, clock, is_cached):
        self.serial, self.parallel = CountingForm(clock), CountingForm(clock)
        self.is_cached = is_cached
        self.n_compiled = 0
        self.begin_compiling = lambda: None

    def has_parallel(self, *args):
        return self.is_cached

    def compile_parallel(self, *args):
        # It takes seconds, and other threads have things to do.
        assert _dispatch._budget.n_busy == 0
        self.begin_compiling()
        self.n_compiled += 1


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_dispatch, "PATIENCE_SECONDS", 4.0)
    monkeypatch.setattr(_dispatch.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(_dispatch, "_run_parallel", lambda kernel, n, *args: kernel.parallel())
    return now


def test_parallel_form_is_compiled_after_seconds_of_work(clock):
    kernel = FakeForms(clock, is_cached=False)
    for _ in range(10):
        _dispatch.run(kernel, 2)
    # One call compiled and does not count, four took a second each.
    assert (kernel.serial.n_calls, kernel.parallel.n_calls) == (5, 5)
    assert kernel.n_compiled == 1


def test_parallel_form_in_the_cache_is_used_at_once(clock):
    kernel = FakeForms(clock, is_cached=True)
    for _ in range(3):
        _dispatch.run(kernel, 2)
    assert (kernel.serial.n_calls, kernel.parallel.n_calls) == (0, 3)
    assert kernel.n_compiled == 1


def test_another_dtype_is_another_form(clock):
    kernel = FakeForms(clock, is_cached=True)
    for dtype in (np.float64, np.float32, np.float64):
        _dispatch.run(kernel, 2, np.ones(3, dtype))
    assert kernel.n_compiled == 2


def test_nobody_waits_for_a_parallel_form_that_another_thread_compiles(clock):
    kernel = FakeForms(clock, is_cached=True)
    kernel.begin_compiling = lambda: _dispatch.run(kernel, 2)
    _dispatch.run(kernel, 2)
    assert (kernel.serial.n_calls, kernel.parallel.n_calls, kernel.n_compiled) == (1, 1, 1)


def test_without_memory_for_the_parallel_form_the_serial_one_does(clock):
    def fail():
        raise MemoryError

    kernel = FakeForms(clock, is_cached=True)
    kernel.begin_compiling = fail
    _dispatch.run(kernel, 2)
    kernel.begin_compiling = lambda: None
    _dispatch.run(kernel, 2)
    assert (kernel.serial.n_calls, kernel.parallel.n_calls) == (1, 1)


def test_an_interrupted_compilation_is_begun_again(clock):
    def interrupt():
        raise KeyboardInterrupt

    kernel = FakeForms(clock, is_cached=True)
    kernel.begin_compiling = interrupt
    with pytest.raises(KeyboardInterrupt):
        _dispatch.run(kernel, 2)
    kernel.begin_compiling = lambda: None
    _dispatch.run(kernel, 2)
    assert (kernel.n_compiled, kernel.parallel.n_calls) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="there is no fork")
@pytest.mark.parametrize("lock", kernels.COMPILER_LOCKS, ids=["compiler", "LLVM"])
def test_a_fork_waits_for_the_compiler_whatever_signals_come(lock, monkeypatch):
    taken, heard = threading.Event(), threading.Event()

    class Struck:
        """A lock where Ctrl-C comes while one waits for it."""

        def __init__(self):
            self._is_owned, self.release = lock._is_owned, lock.release

        def acquire(self):
            if not heard.is_set():
                heard.set()
                raise KeyboardInterrupt
            lock.acquire()

    def compiling():
        with lock:
            taken.set()
            assert heard.wait(60)

    monkeypatch.setattr(_dispatch, "COMPILER_LOCKS", (Struck(),))
    thread = threading.Thread(target=compiling)
    thread.start()
    assert taken.wait(60)
    _dispatch._before_fork()
    assert lock._is_owned()
    _dispatch._after_fork()
    assert not lock._is_owned()
    thread.join(60)
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(lock.acquire, timeout=1).result()
        executor.submit(lock.release).result()


def test_one_thread_needs_no_parallel_form(clock):
    kernel = FakeForms(clock, is_cached=True)
    for _ in range(10):
        _dispatch.run(kernel, 1)
    assert kernel.parallel.n_calls == 0


def test_small_work_stays_on_one_thread():
    assert _dispatch.n_threads_for(_dispatch.MIN_PARALLEL_WORK - 1, 8) == 1
    assert _dispatch.n_threads_for(_dispatch.MIN_PARALLEL_WORK, 8) == 8


def test_n_jobs_means_what_joblib_says():
    available = _dispatch.effective_n_threads(None)
    assert available == min(len(os.sched_getaffinity(0)), numba.config.NUMBA_NUM_THREADS)
    assert _dispatch.effective_n_threads(-1) == available
    assert _dispatch.effective_n_threads(1) == 1
    assert _dispatch.effective_n_threads(10_000) == available
    with pytest.raises(ValueError, match="n_jobs"):
        _dispatch.effective_n_threads(0)


@needs_two_threads
def test_the_callers_thread_count_is_restored():
    def parallel():
        assert numba.get_num_threads() == 2
        raise MemoryError

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with pytest.raises(MemoryError):
            _dispatch._run_parallel(kernels.Kernel(None, parallel), 2)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(tmp_path):
    """With GNU OpenMP a child that launched threads would die or return garbage."""
    X, y = work()
    expected = fit(2, X, y).coefs_[0]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if np.array_equal(fit(2, X, y).coefs_[0], expected) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0


class FakeKernel:
    """Takes a given time on one thread and on several."""

    signatures = ()

    def __init__(self):
        self.clock = 0.0
        self.seconds = {1: 1.0, 4: 0.5}
        self.calls = []

    def __call__(self, n_threads):
        self.calls.append(n_threads)
        self.clock += self.seconds[n_threads]


@pytest.fixture
def fake(monkeypatch):
    kernel = FakeKernel()
    monkeypatch.setattr(_dispatch.time, "perf_counter", lambda: kernel.clock)
    monkeypatch.setattr(_dispatch, "run", lambda kernel, n_threads: kernel.serial(n_threads))
    return kernel


def calls_of(fake, pace, count):
    fake.calls.clear()
    for _ in range(count):
        pace.run(kernels.Kernel(fake, fake), 1)
    return fake.calls


def test_pace_keeps_several_threads_that_are_faster(fake):
    assert calls_of(fake, _dispatch.Pace(4, 1.0), 50) == [4] * 50


def test_pace_turns_to_one_thread_where_several_are_slow(fake):
    pace = _dispatch.Pace(4, 1.0)
    calls_of(fake, pace, 5)
    fake.seconds[4] = 30.0
    calls = calls_of(fake, pace, 200)
    assert calls[:2] == [4, 1]
    assert calls.count(4) < 10
    fake.seconds[4] = 0.5
    assert calls_of(fake, pace, 200)[-100:] == [4] * 100


def test_pace_does_not_mistake_a_slow_machine_for_contention(fake):
    fake.seconds = {1: 10.0, 4: 5.0}
    calls = calls_of(fake, _dispatch.Pace(4, 1.0), 100)
    assert calls.count(1) == 1


def test_pace_of_one_thread_stays(fake):
    assert calls_of(fake, _dispatch.Pace(1, 1e-9), 20) == [1] * 20
