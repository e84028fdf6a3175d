"""Whatever the handler of a signal does, no thread is lost and nobody waits for ever."""

import _thread
import sys
import threading
import time
import types

import numpy as np
import pytest

from fastnet import kernels
from fastnet._engine import dispatch, threads
from fastnet._engine.threads import Budget, Helpers

from .._support.budgets import DEADLINE, Caller, WatchedBudget

# What hands out threads, and uses them.
FILES = (threads.__file__, dispatch.__file__)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(threads, "_FORGOTTEN_SECONDS", 0.01)


class Signal:
    """Lets a handler run at the k-th step of these modules.

    Python looks for signals as a function of its own begins, and after each call of one
    of C. It tells a profiler of both, which so can raise, or call, in the same places.
    """

    def __init__(self, k, handler):
        self.left = k
        self.handler = handler

    def __call__(self, frame, event, _):
        if event in ("call", "c_return") and frame.f_code.co_filename in FILES:
            self.left -= 1
            if self.left == 0:
                self.handler()

    def comes_during(self, function, *args):
        """Call a function; return whether it had so many steps."""
        sys.setprofile(self)
        try:
            function(*args)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        return self.left <= 0


def interrupt():
    raise KeyboardInterrupt


def signal_comes_to_the_second_of_three(k, handler_of):
    """Send a signal to a call that waits, and is waited for; return whether it comes so late."""
    budget = WatchedBudget(1)
    first = Caller(budget)
    first.begins()
    came = []

    def call():
        signal = Signal(k, handler_of(budget))
        came.append(signal.comes_during(budget.run, lambda share: None, 1))
        budget.refused.release()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    assert budget.refused.acquire(timeout=DEADLINE)
    last = Caller(budget)
    first.ends()
    last.begins()
    last.ends()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert budget._calls == {}
    return came[0]


@pytest.mark.parametrize(
    "handler_of",
    [lambda budget: interrupt, lambda budget: lambda: budget.run(lambda share: None, 1)],
    ids=["raises", "predicts"],
)
def test_whatever_a_signals_handler_does_nothing_is_held_and_nobody_hangs(handler_of, impatient):
    k = 1
    while signal_comes_to_the_second_of_three(k, handler_of):
        k += 1
    assert k > 20


class FakeKernel:
    """Stands for compiled code: worker 0 waits for worker 1 where that is asked for."""

    def __init__(self):
        self.is_helped = threading.Event()
        self.needs_help = False

    def __call__(self, X, indices, indptr, order, claims, first, last):
        if first == 1:
            self.is_helped.set()
        elif self.needs_help:
            assert self.is_helped.wait(DEADLINE)

    def run(self):
        dispatch.run(kernels.Kernel(self, None), 2, 0, (np.empty(0), None, None, np.empty(0)))

    def shuffle(self):
        dispatch.run_serial(self, *[None] * 5, 0, 1)


@pytest.fixture
def started(monkeypatch):
    """Give a call two threads, whatever there are; return a list of those that are started."""
    started = []
    start_new_thread = _thread.start_new_thread

    def start(function, args):
        started.append(args)
        return start_new_thread(function, args)

    monkeypatch.setattr(threads, "_thread", types.SimpleNamespace(start_new_thread=start))
    monkeypatch.setattr(dispatch, "_budget", Budget(2))
    monkeypatch.setattr(dispatch, "available_threads", lambda: 2)
    return started


def are_idle(helpers, count):
    """Wait until so many helpers wait for something to do."""
    last = time.monotonic() + DEADLINE
    while len(helpers._idle) < count or not all(q.empty() for q in list(helpers._idle.values())):
        assert time.monotonic() < last
        time.sleep(0.001)
    return True


def signal_comes_to_a_call(k, handler_of, way, has_helper, started, monkeypatch):
    """Send a signal to a call; return whether it comes so late. The next call has a helper."""
    monkeypatch.setattr(dispatch, "_helpers", helpers := Helpers())
    started.clear()
    kernel = FakeKernel()
    # The first call of a kernel is not shared.
    kernel.run()
    if has_helper:
        kernel.run()
        assert are_idle(helpers, 1)
    signal = Signal(k, handler_of(kernel))
    came = signal.comes_during(getattr(kernel, way))
    assert dispatch._budget._calls == {}
    assert are_idle(helpers, len(started))
    kernel.is_helped.clear()
    kernel.needs_help = True
    kernel.run()
    assert len(started) <= 1
    assert are_idle(helpers, len(started))
    helpers.end()
    assert helpers._idle == {}
    return came


@pytest.mark.parametrize(
    "handler_of",
    [lambda kernel: interrupt, lambda kernel: kernel.run],
    ids=["raises", "predicts"],
)
@pytest.mark.parametrize("has_helper", [False, True], ids=["new helper", "idle helper"])
@pytest.mark.parametrize("way", ["run", "shuffle"])
def test_after_a_signal_in_a_call_nothing_is_held(
    way, has_helper, handler_of, started, monkeypatch
):
    k = 1
    while signal_comes_to_a_call(k, handler_of, way, has_helper, started, monkeypatch):
        k += 1
    assert k > 5
