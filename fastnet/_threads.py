"""Threads that kernels keep busy: never more than there are, whoever calls."""

import contextlib
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import Any

# A waiting call looks for itself after so many seconds, should it have been forgotten: a
# signal's handler can raise just before the thread that was to wake it does so.
_FORGOTTEN_SECONDS = 1.0


class _Call:
    """What a call wants, the share that it has, 0 while it waits, and what wakes it."""

    __slots__ = ("alone", "bell", "share", "wanted")

    def __init__(self, wanted: int, alone: bool) -> None:
        self.wanted = wanted
        self.alone = alone
        self.share = 0
        # Unlike an Event, it may be rung by the handler of a signal while it is being rung.
        self.bell: SimpleQueue[None] = SimpleQueue()


class Budget:
    """Shares of a number of threads, for calls from many Python threads at once.

    Every thread of a service may predict at a time, and each prediction use all cores: 40
    of them on 8 cores would keep 320 threads busy. So each call takes a share first, what
    is left if that is less than it can use, and waits where nothing is left. Shares are
    taken in the order in which calls came; a fit, which takes one every 50 ms, does not
    keep a prediction waiting for longer.

    There is no lock, which the handler of a signal could find taken by the very code that
    it interrupts. Only the first call that waits takes a share; a call comes and goes in
    one step; and what is left is counted from the calls that there are. So wherever a
    handler predicts, raises, or both, nothing is shared out twice, and nothing is lost.

    Parameters
    ----------
    total : int
        Threads to share out; may change at any time.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        # By Python thread, in the order in which they came.
        self._calls: dict[int, _Call] = {}

    @property
    def n_busy(self) -> int:
        """Threads that are shared out."""
        return sum(self._shares())

    def run(self, function: Callable[[int], Any], wanted: int, alone: bool = False) -> Any:
        """Wait for a share, and call a function with the number of threads that it is.

        Parameters
        ----------
        function : callable
            What to call. If the calling thread is in `run` already, and the handler of a
            signal has brought it here again, then at once, and with 1.
        wanted : int
            Threads that are of use.
        alone : bool
            Take one thread only, while another share is of more than one.
        """
        me = get_ident()
        if me in self._calls:
            return function(1)
        call = _Call(wanted, alone)
        try:
            self._calls[me] = call
            self._wait(call)
            return function(call.share)
        finally:
            # Not in a method: a handler can raise as soon as one begins.
            self._calls.pop(me, None)
            if self._calls:
                self._wake_next()

    def _wait(self, call: _Call) -> None:
        while not self._serve(call):
            with contextlib.suppress(Empty):
                call.bell.get(timeout=_FORGOTTEN_SECONDS)
        if len(self._calls) > 1:
            # There may be more left than it wanted.
            self._wake_next()

    def _serve(self, call: _Call) -> bool:
        """Let a call take its share, if it is its turn and there is something left."""
        if len(self._calls) == 1:
            # Nearly always. The whole takes 1.2 us, and 2.3 without this.
            call.share = min(call.wanted, self.total)
            return True
        if self._next() is not call:
            return False
        shares = self._shares()
        wanted = 1 if call.alone and max(shares) > 1 else call.wanted
        call.share = max(0, min(wanted, self.total - sum(shares)))
        return call.share > 0

    def _wake_next(self) -> None:
        call = self._next()
        if call is not None:
            call.bell.put(None)

    def _next(self) -> _Call | None:
        """Return the call whose turn it is, if one waits."""
        for call in list(self._calls.values()):
            if call.share == 0:
                return call
        return None

    def _shares(self) -> list[int]:
        return [call.share for call in list(self._calls.values())]
