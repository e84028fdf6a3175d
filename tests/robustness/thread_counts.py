"""Checks of threads.py: how many threads are busy, and what signals and errors leave behind."""

import itertools
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numba
import numpy as np
import pytest

from fastnet import kernels
from fastnet._engine import dispatch
from fastnet.kernels import Kernel
from fastnet.kernels.claims import END, TICKET
from fastnet.kernels.claims import SIZE as CLAIMS_SIZE

from .._support.estimators import stopping_soon
from .concurrent_calls import DEADLINE, bits, in_threads, samples

N_CORES = 4


class Meter:
    """Counts threads in kernels, and can let them wait for each other there.

    A helper that was sent away counts no more, though it may not have left yet: a caller
    does not wait for one that has nothing in hand.
    """

    def __init__(self):
        self.changed = threading.Condition()
        self.inside = {}
        self.reset()
        self._kernels = {
            name: value
            for name, value in vars(kernels).items()
            if isinstance(value, Kernel) or hasattr(value, "py_func")
        }

    def reset(self, company=1):
        """Forget what was counted; let who enters a kernel wait for so many in all.

        Not before all helpers are ready: one that has not seen its last job gets no other.
        """
        helpers = dispatch._helpers
        while len(helpers._idle) < len(helpers._all) or not all(
            queue.empty() for queue in helpers._all.values()
        ):
            time.sleep(0.001)
        self.most_threads, self.company = 0, company

    @property
    def n_threads(self):
        return sum(claims is None or claims[TICKET] != END for claims in self.inside.values())

    def enter(self, claims):
        me = threading.get_ident()
        with self.changed:
            self.inside[me] = claims
            self.most_threads = max(self.most_threads, self.n_threads)
            self.changed.notify_all()
            if claims is not None:
                assert self.wait_for(self.company)
        return me

    def wait_for(self, company):
        """Wait until so many threads are in kernels; for those that hold the lock."""
        return self.changed.wait_for(lambda: self.most_threads >= company, DEADLINE)

    def leave(self, me):
        with self.changed:
            del self.inside[me]

    def __enter__(self):
        self.wrapped = []
        for name, value in self._kernels.items():
            if isinstance(value, Kernel):
                metered = Kernel(Metered(value.serial, self), value.parallel)
                self.wrapped.append(metered)
            else:
                metered = Metered(value, self)
            setattr(kernels, name, metered)
        return self

    def __exit__(self, *_):
        for name, value in self._kernels.items():
            setattr(kernels, name, value)


class Metered:
    """A compiled function that reports to a meter, and may do something first.

    It is equal to that function, which is known to be compiled.
    """

    def __init__(self, form, meter):
        self.form, self.meter = form, meter
        self.first = lambda: None

    def __getattr__(self, name):
        return getattr(self.form, name)

    def __eq__(self, other):
        return other in (self.form, getattr(other, "form", None))

    def __hash__(self):
        return hash(self.form)

    def __call__(self, *args):
        claims = args[-3] if len(args) > 3 and np.shape(args[-3]) == (CLAIMS_SIZE,) else None
        me = self.meter.enter(claims)
        try:
            self.first()
            return self.form(*args)
        finally:
            self.meter.leave(me)


def two_at_once():
    """Let two predictions be in a kernel at once, both on two threads."""
    X, y = samples()
    model = stopping_soon(n_jobs=2).fit(X, y)
    expected = bits(model.predict_proba(X))
    with Meter() as meter, ThreadPoolExecutor(2) as pool:
        meter.reset(company=4)
        predictions = [pool.submit(model.predict_proba, X)]
        with meter.changed:
            assert meter.wait_for(2)
        predictions.append(pool.submit(model.predict_proba, X))
        assert [bits(one.result()) for one in predictions] == [expected] * 2
    assert meter.most_threads == 4, meter.most_threads


def busy_threads():
    """Count the threads in kernels, of calls alone and of many at once."""
    X, y = samples(n_samples=5000)

    def unfitted_on(n_jobs):
        return stopping_soon(n_jobs=n_jobs, batch_size=1000)

    def fit_and_predict(n_jobs):
        unfitted_on(n_jobs).fit(X, y)
        for _ in range(5):
            models[n_jobs].predict_proba(X)
            models[n_jobs].predict(X[:1])

    models = {n_jobs: unfitted_on(n_jobs).fit(X, y) for n_jobs in (None, 1, 2, 100)}
    with Meter() as meter:
        for n_jobs, model in models.items():
            for call in (unfitted_on(n_jobs).fit, model.score):
                expected = N_CORES if n_jobs in (None, 100) else n_jobs
                meter.reset(company=expected)
                call(X, y)
                assert meter.most_threads == expected, (n_jobs, meter.most_threads)
        meter.reset()
        in_threads(fit_and_predict, [*models] * 2)
        assert meter.most_threads <= N_CORES, meter.most_threads
        assert meter.n_threads == dispatch._budget.n_busy == 0
    assert len(dispatch._helpers._all) < N_CORES


@contextmanager
def failing(error):
    """Let every kernel raise an error."""
    with Meter() as meter:

        def fail():
            raise error

        for kernel in meter.wrapped:
            kernel.serial.first = fail
        yield


def errors():
    """Check that nothing is held after an error, and numba's number of threads is as it was."""
    X, y = samples()
    count = numba.get_num_threads()

    def ends(call, *arguments, error):
        with pytest.raises(error):
            call(*arguments)
        assert numba.get_num_threads() == count
        assert dispatch._budget.n_busy == 0

    model = stopping_soon((150, 200), batch_size=1000).fit(X, y)
    expected = bits(model.predict_proba(X))
    diverging = stopping_soon(solver="sgd", learning_rate_init=1e30, batch_size=1000)
    ends(model.fit, np.full_like(X, np.nan), y, error=ValueError)
    ends(diverging.fit, X, y, error=ValueError)
    ends(model.predict, X[:, 1:], error=ValueError)
    for error in (MemoryError, KeyboardInterrupt, SystemExit):
        with failing(error):
            ends(model.predict, X, error=error)
    with failing(MemoryError):
        ends(model.fit, X, y, error=MemoryError)
    with failing(KeyboardInterrupt):
        # With a warning, an error here, where there is something to keep of the fit.
        ends(model.fit, X, y, error=(KeyboardInterrupt, UserWarning))
    assert bits(model.predict_proba(X)) == expected


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
    assert dispatch._budget.n_busy == 0


def handler_predicts():
    """Predict in the handler of a signal that comes while this thread predicts."""
    X, y = samples()
    model = stopping_soon().fit(X, y)
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
    model = stopping_soon().fit(X, y)
    expected = bits(model.predict_proba(X))
    n_raised, may_raise = 0, []

    def handle(*_):
        if may_raise:
            may_raise.clear()
            raise TimeIsUpError

    with others_predict(model, X, expected), alarms(handle) as set_alarm:
        while n_raised < 500:
            try:
                may_raise.append(True)
                # Some are swallowed, by what Python calls to tidy up.
                while may_raise:
                    set_alarm()
                    dispatch.run_serial(int)
                    model.predict_proba(X)
            except TimeIsUpError:
                n_raised += 1
            assert threading.get_ident() not in dispatch._budget._calls
