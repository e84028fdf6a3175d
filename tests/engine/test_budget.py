"""Budget: shares of threads, never more than there are, in the order in which calls come."""

import random
import sys
import threading
import time
from itertools import count

import pytest

from fastnet._engine import threads
from fastnet._engine.threads import Budget

from .._support.budgets import DEADLINE, Caller, WatchedBudget

pytestmark = pytest.mark.thorough


@pytest.fixture
def patient(monkeypatch):
    """Let a call that is forgotten stay so."""
    monkeypatch.setattr(threads, "_FORGOTTEN_SECONDS", 1000.0)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(threads, "_FORGOTTEN_SECONDS", 0.01)


def test_a_share_is_what_is_left(patient):
    budget = WatchedBudget(4)
    first, second = Caller(budget, 3), None
    assert first.begins() == 3
    second = Caller(budget, 3)
    assert second.begins() == 1
    third = Caller(budget, 3).waits()
    assert budget.n_busy == 4
    first.ends()
    assert third.begins() == 3
    second.ends()
    third.ends()
    assert budget.n_busy == 0


def test_what_is_given_back_may_serve_several(patient):
    budget = WatchedBudget(4)
    first = Caller(budget, 4)
    assert first.begins() == 4
    others = [Caller(budget, wanted).waits() for wanted in (1, 2, 2)]
    first.ends()
    assert [other.begins() for other in others] == [1, 2, 1]
    for other in others:
        other.ends()


def test_many_calls_have_one_thread_each(patient):
    budget = WatchedBudget(2)
    first = Caller(budget, 2)
    assert first.begins() == 2
    others = [Caller(budget, 2).waits() for _ in range(3)]
    first.ends()
    assert [other.begins() for other in others[:2]] == [1, 1]
    # While one of three has gone, the other two still share.
    others[0].ends()
    assert others[2].begins() == 1
    others[1].ends()
    others[2].ends()
    last = Caller(budget, 2)
    assert last.begins() == 2
    last.ends()


def test_who_comes_first_is_served_first(patient):
    budget = WatchedBudget(1)
    began = []
    first = Caller(budget)
    first.begins()

    def record(i):
        budget.run(lambda share: began.append(i), 1)

    threads = []
    for i in range(20):
        threads.append(threading.Thread(target=record, args=(i,), daemon=True))
        threads[-1].start()
        assert budget.refused.acquire(timeout=DEADLINE)
    first.ends()
    for thread in threads:
        thread.join(DEADLINE)
    assert began == list(range(20))


def test_one_call_after_the_other_does_not_starve_who_waits(patient):
    budget = WatchedBudget(1)
    may_end, n_calls = threading.Event(), count()
    is_asked = threading.Event()

    def call_again_and_again():
        def function(share):
            is_asked.set()
            next(n_calls)
            assert may_end.wait(DEADLINE)

        for _ in range(1000):
            budget.run(function, 1)

    thread = threading.Thread(target=call_again_and_again, daemon=True)
    thread.start()
    assert is_asked.wait(DEADLINE)
    waiting = Caller(budget).waits()
    may_end.set()
    waiting.begins()
    # One was under way; all others have to wait.
    assert next(n_calls) == 1
    waiting.ends()
    thread.join(DEADLINE)
    assert next(n_calls) == 1001


def test_total_may_shrink(patient):
    budget = WatchedBudget(3)
    first = Caller(budget, 3)
    assert first.begins() == 3
    budget.total = 1
    second = Caller(budget, 3).waits()
    first.ends()
    assert second.begins() == 1
    second.ends()


def test_total_may_grow_while_a_call_waits(impatient):
    budget = WatchedBudget(1)
    first = Caller(budget)
    first.begins()
    second = Caller(budget, 3).waits()
    budget.total = 3
    assert second.begins() == 2
    first.ends()
    second.ends()


def test_who_is_forgotten_looks_for_itself(impatient):
    """As where a handler raised after a call had gone and before the next was woken."""
    budget = WatchedBudget(1)
    first = Caller(budget)
    first.begins()
    second, third = Caller(budget).waits(), Caller(budget)
    del budget._calls[first.thread.ident]
    second.begins()
    second.ends()
    third.begins()
    third.ends()
    first.ends()


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_a_share_comes_back_after_an_error(error, patient):
    budget = WatchedBudget(2)
    first = Caller(budget, 2, raises=error)
    first.begins()
    second = Caller(budget, 2).waits()
    first.ends()
    assert type(first.raised) is error
    assert second.begins() == 2
    second.ends()
    assert budget.n_busy == 0


def test_a_call_on_top_of_another_is_served_at_once(patient):
    budget = Budget(2)
    shares = []

    def outer(share):
        shares.append(share)
        budget.run(shares.append, 2)
        # The share of the outer call is still its own.
        shares.append(budget.n_busy)

    budget.run(outer, 2)
    assert shares == [2, 1, 2]
    assert budget.n_busy == 0


class Switches:
    """Lets other threads run, a profiler's way, at any step of the budget's code."""

    def __init__(self, rng):
        self.rng = rng

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename == threads.__file__ and self.rng.random() < 0.3:
            time.sleep(0)


@pytest.mark.parametrize("seed", range(2))
def test_never_more_than_the_total(seed, patient):
    budget, lock = Budget(5), threading.Lock()
    busy, most, wrong = [], [0], []

    def use(share, wanted):
        with lock:
            busy.append(share)
            most[0] = max(most[0], sum(busy))
            if not 1 <= share <= wanted:
                wrong.append((share, wanted))
        time.sleep(0)
        with lock:
            busy.remove(share)

    def call_at_random(thread):
        rng = random.Random(f"{seed} {thread}")
        sys.setprofile(Switches(rng))
        for _ in range(200):
            wanted = rng.randint(1, 6)
            budget.run(lambda share, wanted=wanted: use(share, wanted), wanted)

    threads = [threading.Thread(target=call_at_random, args=(i,), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert most[0] <= 5
    assert budget.n_busy == 0
