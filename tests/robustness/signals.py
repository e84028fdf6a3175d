"""The program of test_interrupts.py: real signals, and what a model is after them.

    python -m tests.robustness.signals fits

performs a function of this module and writes what it returns to stdout, as JSON.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from hashlib import sha256
from operator import methodcaller

import numpy as np

from fastnet._engine import dispatch

from .._support import estimators
from .._support.faults import Outcomes, state, twin

rng = np.random.default_rng(0)
X, y = rng.normal(size=(1000, 10)), rng.integers(2, size=1000)
N_SHOTS = 25


class AlarmError(Exception):
    """What a handler of one's own may raise."""


def alarmed(number, frame):
    raise AlarmError


def terminated(number, frame):
    sys.exit(3)


unfitted = partial(
    estimators.unfitted, hidden_layer_sizes=(10,), batch_size=100, max_iter=10, tol=0.0
)
fit = methodcaller("fit", X, y)


def with_ctrl_c(delay, act, *arguments):
    """Call a function, and let another thread send SIGINT after some seconds."""
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        return act(*arguments)
    finally:
        timer.cancel()
        # What comes too late comes here.
        timer.join()


def with_alarm(delay, act, *arguments):
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        return act(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def delays_within(act, *arguments):
    """Yield random moments of a call."""
    act(*arguments)
    start = time.perf_counter()
    act(*arguments)
    duration = time.perf_counter() - start
    for _ in range(N_SHOTS):
        yield random.uniform(0, duration)


def fits():
    """Return how often fits ended how."""
    signal.signal(signal.SIGALRM, alarmed)
    ends = Counter()
    for prepared in (unfitted(), fit(unfitted(solver="lbfgs", early_stopping=False))):
        outcomes = Outcomes(prepared, fit)
        for delay in delays_within(fit, twin(prepared)):
            ends[outcomes.of(partial(with_ctrl_c, delay, fit), KeyboardInterrupt)] += 1
            ends[outcomes.of(partial(with_alarm, delay, fit), AlarmError)] += 1
    return ends


def predictions():
    """Return how often predictions were interrupted, and how often right."""
    model = fit(unfitted())
    before, samples = state(model), np.tile(X, (100, 1))
    expected = model.predict_proba(samples)
    ends = Counter()
    for delay in delays_within(model.predict_proba, samples):
        try:
            actual = with_ctrl_c(delay, model.predict_proba, samples)
        except KeyboardInterrupt:
            ends["interrupted"] += 1
        else:
            assert np.array_equal(actual, expected)
            ends["right"] += 1
        assert dispatch._budget.n_busy == 0
    assert state(model) == before
    assert np.array_equal(model.predict_proba(samples), expected)
    return ends


def endless():
    """Return how a fit without end does end; it prints a line for each epoch."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepared = unfitted(max_iter=10**9, n_iter_no_change=np.inf, verbose=True)
    return Outcomes(prepared, fit).of(fit, KeyboardInterrupt)


def endless_with_handler():
    signal.signal(signal.SIGTERM, terminated)
    model = fit(unfitted())
    before = state(model.set_params(max_iter=10**9, n_iter_no_change=np.inf, verbose=True))
    try:
        fit(model)
    except SystemExit:
        assert state(model) == before
        raise


def compilation(*delays):
    """Return a digest of the model that comes of a fit after some were interrupted."""
    samples = X[:200].astype(np.float32)
    outcomes = Outcomes(
        unfitted(batch_size=1, shuffle=False),
        lambda model: model.partial_fit(samples, y[:200], classes=[0, 1]),
    )
    for delay in map(float, delays):
        model = twin(outcomes.prepared)
        with suppress(KeyboardInterrupt):
            with_ctrl_c(delay, outcomes.act, model)
            assert state(model) != outcomes.before
            continue
        assert state(model) == outcomes.before
    return sha256(repr(outcomes.whole).encode()).hexdigest()


if __name__ == "__main__":
    function, *arguments = sys.argv[1:]
    print(json.dumps(globals()[function](*arguments)), flush=True)
