"""Serial or parallel, and on how many threads? Decided here and nowhere else.

The serial and the parallel form of a kernel give the same bits, so a decision shows in
the time a call takes and in nothing else.
"""

import functools
import os
import threading
from typing import Any

import joblib
import numba
from numba.np.ufunc import parallel as numba_threads

from fastnet.kernels import Kernel

# Multiply-adds in one parallel region (its share of parameters times samples) that pay
# for waking a second thread: 2 us a mini-batch (docs/engine.md).
MIN_PARALLEL_WORK = 60_000

# numba's workqueue layer aborts the process when two threads use it at once.
_layer_lock = threading.Lock()
_forked = False


def _after_fork() -> None:
    """Remember that a child of a process with running threads cannot start any.

    With GNU OpenMP it would die or, worse, return without having computed.
    """
    global _forked, _layer_lock
    _forked = _forked or bool(numba_threads._is_initialized)
    _layer_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def _available_threads() -> int:
    """Return what the affinity mask, the cgroup's quota and numba's pool allow."""
    return min(joblib.cpu_count(), numba.config.NUMBA_NUM_THREADS)


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
        return _available_threads()
    return min(joblib.effective_n_jobs(n_jobs), _available_threads())


def n_threads_for(work: int, n_threads: int) -> int:
    """Return how many threads are worth using for `work` multiply-adds a region."""
    return n_threads if work >= MIN_PARALLEL_WORK else 1


def run(kernel: Kernel, n_threads: int, *args: Any) -> Any:
    """Call a kernel, whose last argument is the number of threads."""
    if n_threads == 1 or _forked:
        return kernel.serial(*args, n_threads)
    if _layer_is_thread_safe():
        return _run_parallel(kernel, n_threads, *args)
    if not _layer_lock.acquire(blocking=False):
        return kernel.serial(*args, n_threads)
    try:
        return _run_parallel(kernel, n_threads, *args)
    finally:
        _layer_lock.release()


def _layer_is_thread_safe() -> bool:
    """Return whether numba runs on OpenMP or TBB; not before it has started."""
    if not numba_threads._is_initialized:
        return False
    return str(numba.threading_layer()) != "workqueue"


def _run_parallel(kernel: Kernel, n_threads: int, *args: Any) -> Any:
    before = numba.get_num_threads()
    numba.set_num_threads(n_threads)
    try:
        return kernel.parallel(*args, n_threads)
    finally:
        numba.set_num_threads(before)
