"""Work that is claimed, never assigned: how the threads of one call share its blocks.

A call's work is a sequence of *phases*, each a number of *blocks* that may be done in any
order. Worker 0 is the caller. It publishes a phase, claims blocks until none is left, and
waits for those that others have in hand. The others claim blocks of whatever phase there
is. A thread that the system does not let run has claimed nothing, or one block, so it
holds nobody up for longer than that. A team of OpenMP's threads, which waits for every one
of them, was seen to take 85 times as long as one thread beside another process.

The array `claims` is all that they share:

- ``TICKET``: the number of the phase, and the blocks that nobody has claimed yet, from a
  first to a last. All in one word, so that a claim is one compare-and-swap, which fails if
  the phase is another by then. Worker 0 takes blocks from the front, the others from the
  back: so each finds in its own cache what it had in the phase before.
- ``PATIENCE``: how often a worker looks for work before it leaves, and the caller for the
  end of a block before it goes on alone.
- ``DONE``: blocks done in all phases so far. ``TOTAL``: blocks there were.
- ``JOB``: what the phase is, written by worker 0 before it publishes.
- ``N_TRAINED``: what a call that trains returns, the number of samples that it trained on.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import device, inline
from .atomics import atomic_add, atomic_load, atomic_store, compare_and_swap, pause

# Each on a pair of cache lines of its own: processors fetch lines in pairs.
TICKET = 0
DONE = 16
TOTAL = 32
PATIENCE = 33
N_TRAINED = 34
JOB = 35
SIZE = 48

# A ticket is, from the top: a sign if the others are sent away, phase, last block + 1, first
# block.
_BITS = 22
# The most blocks that a phase may have, and the most phases before they are counted anew.
MOST_BLOCKS = (1 << _BITS) - 1
_PHASES = (1 << (63 - 2 * _BITS)) - 1
_ONE_LAST = 1 << _BITS
_ALONE = -1 << 63
END = -1

# A worker waits for another for so many looks, and once more for so many multiply-adds of a
# block. One that takes longer does not run: the system has given its core to another process,
# for a few ms.
#
# In a call of one phase the caller then sleeps, so that the helper finds a core: after 20 to
# 130 us, by the processor. In a call of many phases it takes 0.25 to 1.7 ms until a helper
# leaves, because the caller may be waiting for its core, and until the caller goes on alone,
# because another process wants to be where its helper is.
#
# Intel Xeon, 2.5 GHz, 2 cores: where the caller waited on, two threads took 1.16 to 1.3 times
# as long as one for 28-64-64-1, beside a fit in another process. Where helpers left after 3,000
# looks, they left whenever the caller's core was the slower one, and gains of 1.3 were 1.04.
_LOOKS = 3_000
_LOOKS_AMONG_PHASES = 40_000
_WORK_PER_LOOK = 500


def new_claims(n_blocks: int = 0, block_work: int = 0) -> npt.NDArray[np.int64]:
    """Return what the workers of one call share.

    Parameters
    ----------
    n_blocks : int
        Blocks of the only phase, if it is to be published at once.
    block_work : int
        Multiply-adds of a block.
    """
    claims = np.zeros(SIZE, np.int64)
    claims[TICKET] = n_blocks << _BITS
    claims[TOTAL] = n_blocks
    looks = _LOOKS if n_blocks > 0 else _LOOKS_AMONG_PHASES
    claims[PATIENCE] = looks + block_work // _WORK_PER_LOOK
    return claims


def end_claims(claims: npt.NDArray[np.int64]) -> None:
    """Send the workers away from Python, whatever is left to do."""
    claims[TICKET] = END


@device
def publish(claims: Any, n_blocks: int) -> None:
    """Begin a phase of so many blocks; the one before is over. For worker 0.

    If it has sent the others away, the phase is for it alone.
    """
    phase = ((claims[TICKET] >> 2 * _BITS) + 1) & _PHASES
    claims[TOTAL] += n_blocks
    ticket = (phase << 2 * _BITS) | (n_blocks << _BITS)
    atomic_store(claims, TICKET, ticket | (claims[TICKET] & _ALONE))


@device
def keep(claims: Any) -> int:
    """Begin a phase of one block, and return it: there is nothing to share. For worker 0."""
    claims[TOTAL] += 1
    return 0


@inline
def _first(ticket: int) -> int:
    return ticket & MOST_BLOCKS


@inline
def _last(ticket: int) -> int:
    return (ticket >> _BITS) & MOST_BLOCKS


@device
def claim(claims: Any, worker: int) -> int:
    """Return a block of the phase that is the worker's from now on, -1 if none is left."""
    while True:
        ticket = atomic_load(claims, TICKET)
        first, last = _first(ticket), _last(ticket)
        if first >= last or (worker > 0 and ticket < 0):
            return -1
        if worker == 0:
            block, rest = first, ticket + 1
        else:
            block, rest = last - 1, ticket - _ONE_LAST
        if compare_and_swap(claims, TICKET, ticket, rest):
            return block


@inline
def finish(claims: Any) -> None:
    """Say that a claimed block is done, and all that belongs to it is written."""
    atomic_add(claims, DONE, 1)


@device
def is_done_soon(claims: Any) -> bool:
    """Wait until every block of the phase is done, but not for long; return whether all are.

    For worker 0, who finds none to claim.
    """
    for _ in range(claims[PATIENCE]):
        if atomic_load(claims, DONE) == claims[TOTAL]:
            return True
        pause()
    return False


@device
def wait_for_others(claims: Any) -> None:
    """Wait until every block of the phase is done; if that is long, send the others away."""
    if not is_done_soon(claims):
        atomic_store(claims, TICKET, claims[TICKET] | _ALONE)
        while atomic_load(claims, DONE) < claims[TOTAL]:
            pause()


@device
def wait_for_block(claims: Any, worker: int) -> int:
    """Claim a block as soon as there is one. For the others: if it is -1 they leave."""
    for _ in range(claims[PATIENCE]):
        ticket = atomic_load(claims, TICKET)
        if ticket < 0:
            return -1
        if _first(ticket) < _last(ticket):
            block = claim(claims, worker)
            if block >= 0:
                return block
        pause()
    return -1


@device
def end(claims: Any) -> None:
    """Send the others away. For worker 0, after the last phase."""
    atomic_store(claims, TICKET, END)
