"""Threads that kernels keep busy: never more than there are, whoever calls."""

import threading
from typing import NamedTuple

# A waiting thread looks for itself after so many seconds, should it have been forgotten: a
# signal's handler can raise between any two steps of the thread that was to wake it.
_FORGOTTEN_SECONDS = 1.0


class _Claim(NamedTuple):
    """What a thread waits for, and the lock that it sleeps on."""

    wanted: int
    alone: bool
    ticket: threading.Lock


class Budget:
    """Shares of a number of threads, for calls from many Python threads at once.

    Every thread of a service may predict at a time, and each prediction use all cores: 40
    of them on 8 cores would keep 320 threads busy. So each call takes a share first, what
    is left if that is less than it can use, and waits where nothing is left. Shares are
    handed on in the order in which threads came; a fit, which gives and takes one every
    50 ms, does not keep a prediction waiting for longer.

    Parameters
    ----------
    total : int
        Threads to share out; may change at any time.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        # Reentrant, as the handler of a signal may predict.
        self._lock = threading.RLock()
        # Both by Python thread, whose identity their users look up once (0.1 us).
        self._shares: dict[int, int] = {}
        self._claims: dict[int, _Claim] = {}

    @property
    def n_busy(self) -> int:
        """Threads that are shared out."""
        return sum(self._shares.values())

    def is_taken_by(self, thread: int) -> bool:
        """Return whether a Python thread has a share, or waits for one."""
        return thread in self._shares or thread in self._claims

    def take(self, thread: int, wanted: int, alone: bool = False) -> int:
        """Wait for a share, and return how many threads it is; `give` it back in any case.

        Parameters
        ----------
        thread : int
            The Python thread that calls.
        wanted : int
            Threads that are of use.
        alone : bool
            Take one thread only, while another share is of more than one.
        """
        with self._lock:
            share = 0 if self._claims else self._share_for(wanted, alone)
            if share > 0:
                self._shares[thread] = share
                return share
            ticket = threading.Lock()
            ticket.acquire()
            self._claims[thread] = _Claim(wanted, alone, ticket)
        while not ticket.acquire(timeout=_FORGOTTEN_SECONDS):
            with self._lock:
                self._hand_out()
        return self._shares[thread]

    def give(self, thread: int) -> None:
        """Return a Python thread's share, or give up waiting for one."""
        with self._lock:
            self._shares.pop(thread, None)
            if self._claims:
                self._claims.pop(thread, None)
                self._hand_out()

    def _share_for(self, wanted: int, alone: bool) -> int:
        """Return how much of what is left a call gets, 0 if there is nothing."""
        shares = self._shares.values()
        if alone and wanted > 1 and any(share > 1 for share in shares):
            wanted = 1
        return max(0, min(wanted, self.total - sum(shares)))

    def _hand_out(self) -> None:
        """Give what is left to those who wait, in the order in which they came."""
        for thread, claim in list(self._claims.items()):
            share = self._share_for(claim.wanted, claim.alone)
            if share == 0:
                return
            # In this order: after an exception in between, it is simply done again.
            self._shares[thread] = share
            if claim.ticket.locked():
                claim.ticket.release()
            self._claims.pop(thread, None)
