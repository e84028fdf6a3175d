"""Checks of threads.py: how many threads are busy, and what signals and errors leave behind."""

import itertools
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numba
import numpy as np
import pytest
from concurrent_calls import DEADLINE, bits, in_threads, samples, unfitted

from fastnet import _dispatch, kernels
from fastnet.kernels import Kernel

N_CORES = 4


class Meter:
    """Counts threads in kernels, and kernels that run on several; restores what it wraps."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()
        self._kernels = {
            name: value
            for name, value in vars(kernels).items()
            if isinstance(value, Kernel) or hasattr(value, "py_func")
        }

    def reset(self):
        self.n_threads, self.n_parallel, self.most_threads, self.most_parallel = 0, 0, 0, 0

    def count(self, n_threads, sign):
        with self.lock:
            self.n_threads += sign * n_threads
            self.n_parallel += sign * (n_threads > 1)
            self.most_threads = max(self.most_threads, self.n_threads)
            self.most_parallel = max(self.most_parallel, self.n_parallel)

    def __enter__(self):
        self.wrapped = []
        for name, value in self._kernels.items():
            if isinstance(value, Kernel):
                metered = Kernel(Metered(value.serial, self), Metered(value.parallel, self, True))
                self.wrapped.append(metered)
            else:
                metered = Metered(value, self)
            setattr(kernels, name, metered)
        return self

    def __exit__(self, *_):
        for name, value in self._kernels.items():
            setattr(kernels, name, value)


class Metered:
    """A compiled function that reports to a meter, and may do something first."""

    def __init__(self, form, meter, is_parallel=False):
        self.form, self.meter, self.is_parallel = form, meter, is_parallel
        self.first = lambda: None

    def __getattr__(self, name):
        return getattr(self.form, name)

    def __call__(self, *args):
        # What numba will use, whatever fastnet thinks.
        n_threads = numba.get_num_threads() if self.is_parallel else 1
        self.meter.count(n_threads, 1)
        try:
            self.first()
            return self.form(*args)
        finally:
            self.meter.count(n_threads, -1)


def two_at_once():
    """Let two predictions be in a kernel at once: both on two threads, where a layer can."""
    X, y = samples()
    model = unfitted(n_jobs=2).fit(X, y)
    expected = bits(model.predict_proba(X))
    with Meter() as meter:
        # While one call gets the parallel form ready, others take the serial one.
        model.predict_proba(X)
        meter.reset()
        barrier = threading.Barrier(2)
        for form in kernels.forward:
            form.first = lambda: barrier.wait(DEADLINE)
        assert in_threads(lambda _: bits(model.predict_proba(X)), range(2)) == [expected] * 2
    is_safe = numba.threading_layer() != "workqueue"
    found = meter.most_threads, meter.most_parallel
    assert found == ((4, 2) if is_safe else (3, 1)), found


def busy_threads():
    """Count the threads in kernels, of calls alone and of many at once."""
    X, y = samples(n_samples=5000)

    def unfitted_on(n_jobs):
        return unfitted(n_jobs=n_jobs, batch_size=1000)

    def fit_and_predict(n_jobs):
        unfitted_on(n_jobs).fit(X, y)
        for _ in range(5):
            models[n_jobs].predict_proba(X)
            models[n_jobs].predict(X[:1])

    models = {n_jobs: unfitted_on(n_jobs).fit(X, y) for n_jobs in (None, 1, 2, 100)}
    with Meter() as meter:
        for n_jobs, model in models.items():
            for call in (unfitted_on(n_jobs).fit, model.score):
                meter.reset()
                call(X, y)
                expected = N_CORES if n_jobs in (None, 100) else n_jobs
                assert meter.most_threads == expected, (n_jobs, meter.most_threads)
        meter.reset()
        in_threads(fit_and_predict, [*models] * 2)
    assert meter.most_threads <= N_CORES, meter.most_threads
    assert meter.most_parallel <= 1 or numba.threading_layer() != "workqueue"
    assert meter.n_threads == _dispatch._budget.n_busy == 0


@contextmanager
def failing(error):
    """Let every kernel raise an error instead of running on several threads."""
    with Meter() as meter:

        def fail():
            raise error

        for kernel in meter.wrapped:
            kernel.parallel.first = fail
        yield


def check_thread_count(count):
    """Check that numba's number of threads for this Python thread stays what it is."""
    X, y = samples()
    numba.set_num_threads(count)

    def stays(call, *arguments, error=None):
        with pytest.raises(error) if error else nullcontext():
            call(*arguments)
        assert numba.get_num_threads() == count
        assert threading.get_ident() not in _dispatch._budget._calls

    model = unfitted((150, 200), batch_size=1000)
    diverging = unfitted(solver="sgd", learning_rate_init=1e30, batch_size=1000)
    with Meter() as meter:
        stays(model.fit, X, y)
        stays(model.predict, X)
        assert meter.most_threads == N_CORES
    stays(model.fit, np.full_like(X, np.nan), y, error=ValueError)
    stays(diverging.fit, X, y, error=ValueError)
    stays(model.predict, X[:, 1:], error=ValueError)
    for error in (MemoryError, KeyboardInterrupt, SystemExit):
        with failing(error):
            stays(model.predict, X, error=error)
    with failing(MemoryError):
        stays(model.fit, X, y, error=MemoryError)
    with failing(KeyboardInterrupt):
        # With a warning, an error here, where there is something to keep of the fit.
        stays(model.fit, X, y, error=(KeyboardInterrupt, UserWarning))


def thread_counts():
    for count in (N_CORES, 1):
        check_thread_count(count)
        in_threads(check_thread_count, [count])
    numba.set_num_threads(N_CORES)


@contextmanager
def alarms(handle):
    """Yield a function that lets a handler be called within the next millisecond."""
    rng = random.Random(0)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 1e-3))
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def others_predict(model, X, expected):
    """Let three more threads predict, and see that they still do at the end."""
    is_over = threading.Event()

    def predict():
        while not is_over.is_set():
            assert bits(model.predict_proba(X)) == expected
        return "right bits"

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(predict) for _ in range(3)]
        try:
            yield
        finally:
            is_over.set()
        assert {thread.result() for thread in threads} == {"right bits"}
    assert _dispatch._budget.n_busy == 0


def handler_predicts():
    """Predict in the handler of a signal that comes while this thread predicts."""
    X, y = samples()
    model = unfitted().fit(X, y)
    expected = {n: bits(model.predict_proba(X[:n])) for n in (1, 50, len(X))}
    sizes = itertools.cycle(expected)
    seen = []

    def handle(*_):
        n = next(sizes)
        seen.append(bits(model.predict_proba(X[:n])) == expected[n])

    with others_predict(model, X, expected[len(X)]), alarms(handle) as set_alarm:
        while len(seen) < 500:
            set_alarm()
            assert bits(model.predict_proba(X)) == expected[len(X)]
    assert all(seen)


class TimeIsUpError(Exception):
    """Raised by the handler of a signal, as by what limits the time of a task."""


def handler_raises():
    """Raise in the handler of a signal that comes while this thread predicts."""
    X, y = samples()
    model = unfitted().fit(X, y)
    expected = bits(model.predict_proba(X))
    n_raised, may_raise = 0, []

    def handle(*_):
        if may_raise:
            may_raise.clear()
            raise TimeIsUpError

    numba.set_num_threads(2)
    with others_predict(model, X, expected), alarms(handle) as set_alarm:
        while n_raised < 500:
            try:
                may_raise.append(True)
                # Some are swallowed, by what Python calls to tidy up.
                while may_raise:
                    set_alarm()
                    _dispatch.run_serial(int)
                    model.predict_proba(X)
            except TimeIsUpError:
                n_raised += 1
            assert threading.get_ident() not in _dispatch._budget._calls
            assert numba.get_num_threads() == 2
    numba.set_num_threads(N_CORES)
