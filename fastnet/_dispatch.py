"""Serial or parallel, and on how many threads? Decided here and nowhere else.

The serial and the parallel form of a kernel give the same bits, so a decision shows in
the time a call takes and in nothing else.
"""

import contextlib
import functools
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import joblib
import numba
import numpy as np
from numba.np.ufunc import parallel as numba_threads

from fastnet.kernels import COMPILER_LOCKS, Kernel

from ._threads import Budget

# Multiply-adds of a mini-batch (parameters times samples) that pay for waking a second
# thread. Two threads were 0.99 (float32) and 1.15 (float64) times as fast at 24,000, 1.12
# and 1.28 at 48,000, 1.10 and 1.22 at 96,000.
MIN_PARALLEL_WORK = 60_000

# A parallel form is compiled once the serial one has worked for as long as that takes:
# compiling both from the start would make a first fit and prediction take 14 instead of 8 s.
PATIENCE_SECONDS = 4.0
_serial_seconds: dict[Any, float] = defaultdict(float)
# Stands for seconds while a thread compiles.
_COMPILING = -np.inf

# A child of a process with running threads cannot start any: with GNU OpenMP it would die
# or, worse, return without having computed.
_forked = False
_budget = Budget(1)

# Those of the compiler's locks that this thread took to fork.
_taken_to_fork: list[Any] = []


def _before_fork() -> None:
    """Wait until no other thread holds a lock of the compiler.

    It would be locked for ever in the child, where that thread does not exist, and the
    child's first kernel would wait for it.
    """
    for lock in COMPILER_LOCKS:
        if not lock._is_owned():
            _take(lock)
            _taken_to_fork.append(lock)


def _take(lock: Any) -> None:
    """Take a lock, whatever signals come: CPython drops what is raised here, and forks."""
    while not lock._is_owned():
        with contextlib.suppress(BaseException):
            lock.acquire()


def _after_fork() -> None:
    while _taken_to_fork:
        _taken_to_fork.pop().release()


def _after_fork_in_child() -> None:
    global _forked, _budget
    _forked = _forked or bool(numba_threads._is_initialized)
    # Other threads had shares of the old one, and were compiling, and do not exist here.
    _budget = Budget(_budget.total)
    _serial_seconds.clear()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )


def is_forked() -> bool:
    """Return whether a process with running threads was forked into this one."""
    return _forked


def thread_limits() -> dict[str, int]:
    """Return each limit of the number of threads, by what sets it."""
    return {
        "NUMBA_NUM_THREADS": int(numba.config.NUMBA_NUM_THREADS),
        "joblib.cpu_count(), with the cgroup's quota": int(joblib.cpu_count()),
        "the affinity mask": _n_affine(),
    }


def _n_affine() -> int:
    """Return how many processors this thread may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@functools.cache
def _lasting_limit() -> int:
    """Return the least limit that does not change; the quota takes 60 us to look up."""
    return int(min(joblib.cpu_count(), numba.config.NUMBA_NUM_THREADS))


def available_threads() -> int:
    """Return how many threads this process may keep busy at this moment; the budget follows."""
    _budget.total = min(_lasting_limit(), _n_affine())
    return _budget.total


def effective_n_threads(n_jobs: int | None) -> int:
    """Return how many threads `n_jobs` stands for in this process.

    Parameters
    ----------
    n_jobs : int or None
        None is all that the process may use; other values as in joblib.

    Raises
    ------
    ValueError
        If `n_jobs` is 0.
    """
    if n_jobs is None:
        return available_threads()
    return min(joblib.effective_n_jobs(n_jobs), available_threads())


def n_threads_for(work: int, n_threads: int) -> int:
    """Return how many threads are worth using for `work` multiply-adds a region."""
    return n_threads if work >= MIN_PARALLEL_WORK else 1


def run(kernel: Kernel, n_threads: int, *args: Any) -> Any:
    """Call a kernel, whose last argument is the number of threads.

    It shares its work out among so many; fewer may do it, with the same bits.
    """
    args = (*args, n_threads)
    if n_threads == 1 or _forked:
        return run_serial(kernel.serial, *args)
    # What it is compiled for, but for layouts, which are all the same: it takes 1 us, to ask
    # numba for the types 70.
    dtypes = tuple(getattr(arg, "dtype", None) for arg in args)
    if not _parallel_form_pays(kernel, dtypes, args):
        return run_serial(_accounted, kernel.serial, dtypes, args)
    available_threads()

    def call(share: int) -> Any:
        return kernel.serial(*args) if share == 1 else _run_parallel(kernel, share, *args)

    # numba's workqueue layer aborts the process when two threads use it at once.
    return _budget.run(call, n_threads, alone=not _layer_is_thread_safe())


def run_serial(function: Callable[..., Any], *args: Any) -> Any:
    """Call a compiled function that keeps one thread busy."""
    return _budget.run(lambda share: function(*args), 1)


def _parallel_form_pays(kernel: Kernel, dtypes: tuple[Any, ...], args: tuple[Any, ...]) -> bool:
    """Return whether a kernel's parallel form is compiled, as it is here once it pays.

    Not within the call: it would hold its threads for the 4 s that this may take, and a
    prediction in another thread would wait for so long. Nor do others wait who want the
    same form: they have the serial one.
    """
    seconds = _serial_seconds[kernel.serial, dtypes]
    if seconds == np.inf:
        return True
    if seconds == _COMPILING or (seconds < PATIENCE_SECONDS and not kernel.has_parallel(*args)):
        return False
    _serial_seconds[kernel.serial, dtypes] = _COMPILING
    try:
        kernel.compile_parallel(*args)
        seconds = np.inf
    except MemoryError:
        # The serial form needs none.
        return False
    finally:
        _serial_seconds[kernel.serial, dtypes] = seconds
    return True


def _accounted(serial: Any, dtypes: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
    """Call a serial form, and add to its account what that took, but for compiling."""
    compiled = len(serial.signatures)
    start = time.perf_counter()
    result = serial(*args)
    if len(serial.signatures) == compiled:
        _serial_seconds[serial, dtypes] += time.perf_counter() - start
    return result


class Pace:
    """One thread or several for a sequence of equal calls, by how long they take.

    Where other processes keep the cores busy, OpenMP's threads wait for each other at
    the end of every region, for milliseconds if one is not scheduled: two threads were
    seen to be 25 times slower than one. So a call that is much slower than it should be
    is followed by one on a single thread, and the faster way is kept for a while.

    Parameters
    ----------
    n_threads : int
        Threads to use where that is faster.
    seconds_per_unit : float
        What a unit of work should take at most.
    """

    _SLOW = 2.0
    _MOST_PATIENCE = 64

    def __init__(self, n_threads: int, seconds_per_unit: float) -> None:
        self.n_threads = n_threads
        self._several = n_threads
        self._expected = seconds_per_unit
        self._parallel = seconds_per_unit
        self._wait = 0
        self._patience = 1

    def run(self, kernel: Kernel, units: int, *args: Any) -> Any:
        """Call a kernel for so many units of work, and learn from the time it takes."""
        compiled = len(kernel.parallel.signatures)
        start = time.perf_counter()
        result = run(kernel, self.n_threads, *args)
        seconds = time.perf_counter() - start
        if self._several > 1 and len(kernel.parallel.signatures) == compiled:
            self._learn(seconds / units)
        return result

    def _learn(self, seconds_per_unit: float) -> None:
        if self.n_threads > 1:
            self._parallel = seconds_per_unit
            if seconds_per_unit > self._SLOW * self._expected:
                self.n_threads = 1
                self._wait = 0
            self._expected = min(self._expected, seconds_per_unit)
        elif self._wait == 0:
            # The single thread's first call since several were slow.
            if seconds_per_unit < self._parallel:
                self._wait = self._patience
                self._patience = min(2 * self._patience, self._MOST_PATIENCE)
            else:
                # Several are not to blame: the work takes longer than was expected.
                self._expected = self._parallel
                self.n_threads = self._several
                self._patience = 1
        else:
            self._wait -= 1
            if self._wait == 0:
                self.n_threads = self._several


def _layer_is_thread_safe() -> bool:
    """Return whether numba runs on OpenMP or TBB; not before it has started."""
    if not numba_threads._is_initialized:
        return False
    return str(numba.threading_layer()) != "workqueue"


def _run_parallel(kernel: Kernel, share: int, *args: Any) -> Any:
    if not numba_threads._is_initialized:
        # Launches them.
        numba.get_num_threads()
    # numba's own functions take a lock each time, which a signal's handler that raises
    # would leave taken: every other thread would wait for ever.
    before = numba_threads._get_num_threads()
    try:
        numba_threads._set_num_threads(share)
        return kernel.parallel(*args)
    finally:
        numba_threads._set_num_threads(before)
