"""Threads that kernels keep busy: never more than there are, whoever calls."""

import _thread
import contextlib
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import Any

# A waiting call looks for itself after so many seconds, should it have been forgotten: a
# signal's handler can raise just before the thread that was to wake it does so.
_FORGOTTEN_SECONDS = 1.0

# How long a process that ends waits for a helper that is in the middle of something.
_END_SECONDS = 0.2


class _Call:
    """What a call wants, the share that it has, 0 while it waits, and what wakes it."""

    __slots__ = ("bell", "share", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.share = 0
        # Unlike an Event, it may be rung by the handler of a signal while it is being rung.
        self.bell: SimpleQueue[None] = SimpleQueue()


class Budget:
    """Shares of a number of threads, for calls from many Python threads at once.

    Every thread of a service may predict at a time, and each prediction use all cores: 40
    of them on 8 cores would keep 320 threads busy. So each call takes a share first, and
    waits where nothing is left. What is left is for all that wait: a call that is alone
    takes all it can use, and where there are more calls than threads each takes one. (Eight
    that took two in turn, on two cores, took 1.2 times as long.) Shares are taken in the
    order in which calls came; a fit, which takes one every 50 ms, does not keep a prediction
    waiting for longer.

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
        return sum(call.share for call in list(self._calls.values()))

    @property
    def n_helpers(self) -> int:
        """Threads that are shared out, but for the callers themselves."""
        return sum(max(0, call.share - 1) for call in list(self._calls.values()))

    def run(self, function: Callable[[int], Any], wanted: int) -> Any:
        """Wait for a share, and call a function with the number of threads that it is.

        Parameters
        ----------
        function : callable
            What to call. If the calling thread is in `run` already, and the handler of a
            signal has brought it here again, then at once, and with 1.
        wanted : int
            Threads that are of use.
        """
        me = get_ident()
        if me in self._calls:
            return function(1)
        call = _Call(wanted)
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
        left = max(0, self.total - self.n_busy)
        n_waiting = sum(other.share == 0 for other in list(self._calls.values()))
        call.share = min(call.wanted, -(-left // n_waiting))
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


class Job:
    """A function for a helper to call, unless it is called off before it begins."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        # Whoever takes it out has it: that is one step.
        self._work = [(function, args)]
        self._end: SimpleQueue[None] = SimpleQueue()

    def run(self) -> None:
        """Call the function; for a helper."""
        with contextlib.suppress(IndexError):
            function, args = self._work.pop()
            try:
                function(*args)
            finally:
                self._end.put(None)

    def call_off(self) -> bool:
        """Return whether no helper had begun; now none will."""
        try:
            self._work.pop()
        except IndexError:
            return False
        return True

    def wait(self) -> None:
        """Wait for the end of a job that was begun."""
        self._end.get()


class Helpers:
    """Threads that wait for jobs, asleep, and are started when they are first needed.

    A job begins when the system lets its helper run, or never: so nobody may depend on it.

    There is no lock, for the reason that `Budget` has none. A helper is known by the queue
    that it waits at, and is `_idle` while it does. It comes and goes there by itself, so that
    a handler that raises cannot lose it.
    """

    def __init__(self) -> None:
        self._all: dict[int, SimpleQueue[Job | None]] = {}
        self._idle: dict[int, SimpleQueue[Job | None]] = {}
        self._ended: SimpleQueue[None] = SimpleQueue()

    def hire(self, function: Callable[..., Any], args: tuple[Any, ...], most: int) -> Job | None:
        """Have a function called by an idle helper; return None if there is none.

        Parameters
        ----------
        function : callable
            What to call. What it raises is lost.
        args : tuple
            Its arguments.
        most : int
            Helpers that there may be; if all are busy, and fewer, one more is started.
        """
        job = Job(function, args)
        # One with a job in its queue has been woken, and does not run yet.
        ready = [queue for queue in list(self._idle.values()) if queue.empty()]
        if not ready and len(self._all) < most:
            return job if self._start(job) else None
        # One that is not idle may be about to be: it has only to say so.
        for queue in ready or list(self._all.values()):
            if queue.empty():
                queue.put(job)
                return job
        return None

    def _start(self, job: Job) -> bool:
        queue: SimpleQueue[Job | None] = SimpleQueue()
        queue.put(job)
        is_started = False
        try:
            self._all[id(queue)] = queue
            # `threading.Thread.start` would wait for a thread that has no memory to begin with.
            _thread.start_new_thread(self._serve, (queue,))
            is_started = True
        except (RuntimeError, MemoryError):
            # There are too many threads, or the process ends. The caller does it all.
            pass
        finally:
            # A handler may have raised, too. If the helper is there, it will say so.
            if not is_started:
                self._all.pop(id(queue), None)
        return is_started

    def _serve(self, queue: "SimpleQueue[Job | None]") -> None:
        job = queue.get()
        while job is not None:
            with contextlib.suppress(BaseException):
                job.run()
            # Its arguments may be the largest arrays that there are.
            job = None
            self._all[id(queue)] = self._idle[id(queue)] = queue
            job = queue.get()
            self._idle.pop(id(queue), None)
        self._ended.put(None)

    def end(self) -> None:
        """Let all helpers end; wait for them, but not for long."""
        queues = list(self._all.values())
        for queue in queues:
            queue.put(None)
        with contextlib.suppress(Empty):
            for _ in queues:
                self._ended.get(timeout=_END_SECONDS)
