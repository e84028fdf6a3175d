"""Budget: whatever the handler of a signal does, nothing is held and nobody waits for ever."""

import sys
import threading

import numba
import pytest
from numba.np.ufunc import parallel as numba_threads

from fastnet import _dispatch, _threads, kernels
from fastnet._threads import Budget

from .budgets import DEADLINE, Caller, WatchedBudget

# What hands out threads, and uses them.
FILES = (_threads.__file__, _dispatch.__file__, numba_threads.__file__)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(_threads, "_FORGOTTEN_SECONDS", 0.01)


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


class FakeForm:
    """Stands for a compiled function."""

    signatures = ()
    overloads = ((int,),)

    def __call__(self, *args):
        return args

    def compile(self, sig):
        assert sig in self.overloads

    def typeof_pyval(self, value):
        return type(value)


def calls_of_kernels():
    kernel = kernels.Kernel(FakeForm(), FakeForm())
    return {
        "serial": lambda: _dispatch.run(kernel, 1),
        "parallel": lambda: _dispatch.run(kernel, 2),
        "shuffle": lambda: _dispatch.run_serial(kernel.serial),
    }


@pytest.fixture
def two_threads(monkeypatch):
    """Return a budget of two threads, which numba may not have."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core: nothing runs in parallel here")
    monkeypatch.setattr(_dispatch, "_budget", budget := Budget(2))
    monkeypatch.setattr(_dispatch, "available_threads", lambda: 2)
    return budget


@pytest.mark.parametrize("form", ["serial", "parallel", "shuffle"])
def test_interrupted_anywhere_a_kernel_leaves_nothing_behind(form, two_threads):
    call = calls_of_kernels()[form]
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        k = 1
        while Signal(k, interrupt).comes_during(call):
            assert two_threads._calls == {}
            assert numba.get_num_threads() == 1
            k += 1
    finally:
        numba.set_num_threads(before)
    assert k > 5


def test_no_lock_of_numbas_is_taken(two_threads, monkeypatch):
    """A handler that raises while numba takes it would leave it taken, and others hang."""

    def take_lock():
        raise AssertionError

    before = numba.get_num_threads()
    monkeypatch.setattr(numba_threads, "_launch_threads", take_lock)
    calls_of_kernels()["parallel"]()
    monkeypatch.undo()
    assert numba.get_num_threads() == before
