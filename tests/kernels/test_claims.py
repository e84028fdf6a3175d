"""Claims: every block is done once, whoever comes, whoever leaves, and nobody hangs."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet.kernels import batches, claims, epoch

from .._support.workers import DEADLINE, call_in_threads

pytestmark = pytest.mark.thorough

# Looks for work beyond any test's time: only the end sends such workers away.
FOR_EVER = 1 << 50
# What a phase of these tests is: a number that its blocks write.
NUMBER = claims.JOB

njit = numba.njit(nogil=True)

every_number_of_threads = pytest.mark.parametrize("n_threads", range(1, 9))


@njit
def take(shared, worker, takes):
    """Claim blocks until there is none; return one that was out of order, -1 if none was.

    Worker 0's are in rising order, those of others in falling order.
    """
    wrong = -1
    before = -1
    block = claims.claim(shared, worker)
    while block >= 0:
        if before >= 0 and (block > before) != (worker == 0):
            wrong = block
        takes[worker, block] += 1
        claims.finish(shared)
        before = block
        block = claims.claim(shared, worker)
    return wrong


@njit
def work(shared, worker, block, values, takes, most, gate):
    """Do a block, and more, so many at the most; each writes the phase's number.

    Return how many are left.
    """
    while block >= 0:
        number = shared[NUMBER]
        if worker > 0:
            gate[1] += 1
            while claims.atomic_load(gate, 0) == 0:
                claims.pause()
        values[block] = number + block
        takes[worker] += 1
        most -= 1
        claims.finish(shared)
        block = claims.claim(shared, worker) if most > 0 else -1
    return most


@njit
def lead(shared, sizes, values, takes, gate, sums, n_published):
    """Go through phases of so many blocks, as worker 0; the first may be there already."""
    for phase in range(sizes.size):
        if phase >= n_published:
            values[:] = 0
            shared[NUMBER] = 1_000_000 * phase
            claims.publish(shared, sizes[phase])
        work(shared, 0, claims.claim(shared, 0), values, takes, FOR_EVER, gate)
        claims.wait_for_others(shared)
        sums[phase] = values.sum()
    claims.end(shared)


@njit
def follow(shared, worker, values, takes, most, gate):
    """Do blocks of all phases, but so many at the most."""
    while most > 0:
        block = claims.wait_for_block(shared, worker)
        if block < 0:
            break
        most = work(shared, worker, block, values, takes, most, gate)


@njit
def claim(shared, worker):
    return claims.claim(shared, worker)


@njit
def publish(shared, n_blocks):
    claims.publish(shared, n_blocks)


@njit
def finish(shared):
    claims.finish(shared)


@njit
def end(shared):
    claims.end(shared)


@njit
def keep(shared):
    return claims.keep(shared)


@njit
def wait_for_block(shared, worker):
    return claims.wait_for_block(shared, worker)


@njit
def wait_for_others(shared):
    claims.wait_for_others(shared)


@njit
def is_done_soon(shared):
    return claims.is_done_soon(shared)


@njit
def replace(shared, old, new):
    return claims.compare_and_swap(shared, claims.TICKET, old, new)


def phase_of(shared: Any) -> int:
    """Return the number of the phase that a ticket has."""
    return int(shared[claims.TICKET]) >> 2 * claims._BITS


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(1e-4)


class Crew:
    """Worker 0, who leads through phases, and others, who are as they are told to be."""

    def __init__(self, sizes: Any, n_workers: int, *, is_open: bool = True) -> None:
        self.sizes = np.array(sizes)
        self.shared = claims.new_claims()
        self.shared[claims.PATIENCE] = FOR_EVER
        self.values = np.zeros(max(sizes, default=0), np.int64)
        self.takes = np.zeros(n_workers, np.int64)
        # Whether blocks of helpers end, and how many were begun.
        self.gate = np.array([int(is_open), 0])
        self.sums = np.full(len(sizes), -1)

    def lead(self, n_published: int = 0) -> None:
        lead(self.shared, self.sizes, self.values, self.takes, self.gate, self.sums, n_published)

    def follow(self, worker: int, *, delay: float = 0.0, most: int = FOR_EVER) -> None:
        time.sleep(delay)
        follow(self.shared, worker, self.values, self.takes, most, self.gate)

    def check(self) -> None:
        """Assert that every phase's blocks were all done, once, and in that phase."""
        n = self.sizes
        expected = 1_000_000 * np.arange(n.size) * n + n * (n - 1) // 2
        assert_array_equal(self.sums, expected)
        assert self.takes.sum() == n.sum()
        assert self.shared[claims.DONE] == self.shared[claims.TOTAL] == n.sum()


@every_number_of_threads
@pytest.mark.parametrize("n_blocks", [0, 1, 2, 3, 7, 8, 100, 10_000])
def test_every_block_is_claimed_once(n_threads: int, n_blocks: int) -> None:
    shared = claims.new_claims(n_blocks)
    takes = np.zeros((n_threads, n_blocks), np.int64)
    wrong = np.full(n_threads, -2)

    def taking(worker: int) -> None:
        wrong[worker] = take(shared, worker, takes)

    call_in_threads([partial(taking, worker) for worker in range(n_threads)])
    assert_array_equal(takes.sum(axis=0), 1)
    assert shared[claims.DONE] == shared[claims.TOTAL] == n_blocks
    # From the front, from the back, until they meet.
    assert_array_equal(wrong, -1)
    assert_array_equal(np.sort(takes[0])[::-1], takes[0])


def test_worker_0_claims_from_the_front_and_others_from_the_back() -> None:
    shared = claims.new_claims(7)
    workers = (0, 1, 0, 5, 1, 0, 0, 0, 1)
    assert [claim(shared, worker) for worker in workers] == [0, 6, 1, 5, 4, 2, 3, -1, -1]
    publish(shared, 2)
    assert [claim(shared, worker) for worker in (3, 0, 0, 3)] == [1, 0, -1, -1]


@every_number_of_threads
def test_phases_follow_one_another(n_threads: int) -> None:
    rng = np.random.default_rng(n_threads)
    crew = Crew(rng.integers(0, 20, 3_000), n_threads)
    helpers = [partial(crew.follow, worker) for worker in range(1, n_threads)]
    call_in_threads([crew.lead, *helpers])
    crew.check()


@pytest.mark.parametrize("seed", range(5))
def test_helpers_come_late_and_leave_early(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crew = Crew(rng.integers(1, 50, 3_000), 8)
    helpers = [
        partial(crew.follow, worker, delay=rng.uniform(0, 3e-3), most=rng.integers(1, 500))
        for worker in range(1, 8)
    ]
    call_in_threads([crew.lead, *helpers])
    crew.check()


def test_impatient_helpers_leave_and_come_again() -> None:
    """As they do between the calls of a fit; what they miss is done all the same."""
    crew = Crew(np.full(2_000, 9), 3)
    crew.shared[claims.PATIENCE] = 3

    def come_again(worker: int) -> None:
        while crew.shared[claims.TICKET] >= 0:
            crew.follow(worker)

    call_in_threads([crew.lead, partial(come_again, 1), partial(come_again, 2)])
    crew.check()


@pytest.mark.parametrize("n_helpers", [1, 3])
def test_a_phase_waits_for_a_block_that_takes_long(n_helpers: int) -> None:
    sizes = [6, 5, 4]
    crew = Crew(sizes, 1 + n_helpers, is_open=False)

    def look_on() -> None:
        # Every helper is stopped in the middle of a block, and all the others are done.
        until(lambda: crew.gate[1] == n_helpers)
        until(lambda: crew.shared[claims.DONE] == sizes[0] - n_helpers)
        time.sleep(0.02)
        assert crew.shared[claims.TOTAL] == sizes[0]
        assert crew.shared[claims.DONE] == sizes[0] - n_helpers
        assert crew.sums[0] == -1
        crew.gate[0] = 1

    def lead_when_all_are_there() -> None:
        # Nobody has to be in time: the first phase is published, and left to the helpers.
        publish(crew.shared, sizes[0])
        until(lambda: crew.gate[1] == n_helpers)
        crew.lead(n_published=1)

    helpers = [partial(crew.follow, worker) for worker in range(1, 1 + n_helpers)]
    call_in_threads([lead_when_all_are_there, *helpers, look_on])
    crew.check()


def test_whether_all_is_done_soon() -> None:
    shared = claims.new_claims(2)
    assert [claim(shared, 0), claim(shared, 1)] == [0, 1]
    finish(shared)
    assert not is_done_soon(shared)
    finish(shared)
    assert is_done_soon(shared)
    assert is_done_soon(claims.new_claims())


def test_who_finds_no_work_leaves() -> None:
    assert wait_for_block(claims.new_claims(), 1) == -1
    shared = claims.new_claims(1)
    assert wait_for_block(shared, 1) == 0
    assert wait_for_block(shared, 1) == -1


def test_a_block_that_is_kept_is_nobody_else_s() -> None:
    shared = claims.new_claims()
    assert keep(shared) == 0
    assert wait_for_block(shared, 1) == claim(shared, 0) == -1
    assert not is_done_soon(shared)
    finish(shared)
    assert is_done_soon(shared)


def test_more_work_in_a_block_is_more_patience() -> None:
    patience = [claims.new_claims(1, work)[claims.PATIENCE] for work in (0, 10**6, 10**8)]
    assert patience == sorted(set(patience))


@pytest.mark.parametrize("send_away", [claims.end_claims, end])
def test_the_end_sends_everybody_away(send_away: Any) -> None:
    crew = Crew([], 4)
    helpers = [partial(crew.follow, worker) for worker in range(1, 4)]

    def leave() -> None:
        # Some wait by now, or come to find that it is over.
        time.sleep(0.01)
        send_away(crew.shared)

    call_in_threads([leave, *helpers])
    assert crew.takes.sum() == 0


@pytest.mark.parametrize("send_away", [claims.end_claims, end])
def test_nothing_is_claimed_after_the_end(send_away: Any) -> None:
    shared = claims.new_claims(5)
    assert claim(shared, 1) == 4
    send_away(shared)
    assert claim(shared, 0) == claim(shared, 1) == -1
    assert wait_for_block(shared, 1) == -1


def test_the_caller_goes_on_alone_when_a_block_takes_long() -> None:
    shared = claims.new_claims()
    publish(shared, 3)
    assert [claim(shared, worker) for worker in (1, 0, 1)] == [2, 0, 1]
    finish(shared)
    finish(shared)

    def end_the_last_block() -> None:
        # The caller has said so while it waits, and before the block is done.
        until(lambda: shared[claims.TICKET] < 0)
        assert wait_for_block(shared, 1) == -1
        finish(shared)

    call_in_threads([partial(wait_for_others, shared), end_the_last_block])
    for _ in range(2):
        publish(shared, 2)
        assert [claim(shared, 1), wait_for_block(shared, 1)] == [-1, -1]
        assert [claim(shared, worker) for worker in (0, 1, 0, 0)] == [0, -1, 1, -1]
        finish(shared)
        finish(shared)
        wait_for_others(shared)


@njit
def claim_all(shared):
    """Claim as workers 0 and 1 by turns; return how many blocks, and the sum of their numbers."""
    count = total = 0
    block = claims.claim(shared, 0)
    while block >= 0:
        count += 1
        total += block
        block = claims.claim(shared, count % 2)
    return count, total


def test_most_blocks() -> None:
    n = claims.MOST_BLOCKS
    shared = claims.new_claims(n)
    assert [claim(shared, 0), claim(shared, 1)] == [0, n - 1]
    assert claim_all(shared) == (n - 2, (n - 2) * (n - 1) // 2)
    # Of a phase of any number, and the next is as good.
    for phase in (1, claims._PHASES - 1, claims._PHASES):
        shared[claims.TICKET] = (phase - 1) << 2 * claims._BITS
        publish(shared, n)
        assert phase_of(shared) == phase
        assert [claim(shared, 0), claim(shared, 1), claim(shared, 0)] == [0, n - 1, 1]


def test_phases_are_counted_anew() -> None:
    shared = claims.new_claims()
    shared[claims.TICKET] = claims._PHASES << 2 * claims._BITS
    publish(shared, 3)
    assert phase_of(shared) == 0
    assert shared[claims.TICKET] >= 0
    assert claim_all(shared) == (3, 3)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_more_phases_than_are_counted(n_threads: int) -> None:
    # The sums take most of the time.
    crew = Crew(np.full(claims._PHASES + 100, 3), n_threads)
    helpers = [partial(crew.follow, worker, most=10_000) for worker in range(1, n_threads)]
    call_in_threads([crew.lead, *helpers])
    crew.check()


def test_a_claim_of_an_earlier_phase_fails() -> None:
    """Though as many blocks are left as there were then."""
    shared = claims.new_claims(4)
    old = int(shared[claims.TICKET])
    assert claim_all(shared)[0] == 4
    publish(shared, 4)
    assert not replace(shared, old, old + 1)
    now = int(shared[claims.TICKET])
    assert replace(shared, now, now + 1)
    assert claim(shared, 0) == 1


def test_what_threads_write_at_is_apart() -> None:
    """On pairs of cache lines of its own, but for what only worker 0 writes."""
    places = [claims.TICKET, claims.DONE, claims.TOTAL]
    assert np.all(np.diff(places) * np.dtype(np.int64).itemsize >= 128)
    assert claims.TOTAL < claims.PATIENCE < claims.N_TRAINED < claims.JOB
    assert claims.JOB + batches.SIZE <= epoch.PHASE < epoch.SOLVER < claims.SIZE
