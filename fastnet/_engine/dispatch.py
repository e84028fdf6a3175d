"""How many threads work on a call, and which. Decided here and nowhere else.

A thread that works on a call claims one block of it after the other (`kernels/claims.py`).
The caller does so in any case; helpers do where the system lets them run. Who did what
shows in the time that a call takes and in nothing else.
"""

import atexit
import functools
import os
from collections.abc import Callable
from typing import Any

import joblib
import numba
import numpy as np
import numpy.typing as npt

from fastnet.kernels import DONE, MOST_BLOCKS, TOTAL, Kernel, end_claims, new_claims

from .quota import quota_cores
from .threads import Budget, Helpers, Job

# Multiply-adds of a phase (parameters times samples) that pay for sharing it.
MIN_SHARED_WORK = 60_000

# Multiply-adds of a call that pay for waking helpers, at SAMPLE_WORK more for each sample:
# 1 ms. 200 rows of 784-128-10, 20 million, gained 5 % alone and lost 17 % or more after BLAS.
MIN_CALL_WORK = 30_000_000
SAMPLE_WORK = 50

# Multiply-adds of a block of a prediction: some 30 us, for which a caller may wait.
BLOCK_WORK = 1_000_000

# Multiply-adds of a prediction of few rows, from which on it counts as a busy thread: some
# 20 us. To take a share is 1.2 us, of one row of 28-64-1 a third.
MIN_COUNTED_WORK = 1_000_000

_budget = Budget(1)
_helpers = Helpers()
# Kernels, and the kind of features, for which compiled code is there: a helper must not
# compile, nor wait for that.
_compiled: set[Any] = set()


def _after_fork_in_child() -> None:
    global _budget, _helpers
    # Other threads had shares of the old one, and do not exist here, nor do helpers.
    _budget = Budget(_budget.total)
    _helpers = Helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@atexit.register
def _end_helpers() -> None:
    _helpers.end()


def thread_limits() -> dict[str, int]:
    """Return each limit of the number of threads, by what sets it."""
    return {**_lasting_limits(), "the affinity mask": _n_affine()}


def _lasting_limits() -> dict[str, int]:
    """Return the limits that do not change."""
    limits = {
        "NUMBA_NUM_THREADS": int(numba.config.NUMBA_NUM_THREADS),
        "joblib.cpu_count()": int(joblib.cpu_count()),
    }
    cores = quota_cores()
    return limits if cores is None else {**limits, "the quota of its control groups": cores}


def _n_affine() -> int:
    """Return how many processors this thread may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@functools.cache
def _lasting_limit() -> int:
    """Return the least limit that does not change; quotas take 0.4 ms to look up."""
    return min(_lasting_limits().values())


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


def n_workers_for(work: int, n_threads: int) -> int:
    """Return how many workers are worth having for `work` multiply-adds a phase."""
    return n_threads if work >= MIN_SHARED_WORK else 1


def shares(work: int, n_parts: int, n_jobs: int | None) -> tuple[int, int, int]:
    """Return how a call of one phase is divided.

    Parameters
    ----------
    work : int
        Multiply-adds in all.
    n_parts : int
        What cannot be divided: panels, or samples.
    n_jobs : int or None
        Threads, as the estimator's parameter.

    Returns
    -------
    size, n_blocks, n_workers : int
        How many parts make a block, how many blocks there are, and workers that find one.
    """
    size = max(1, n_parts * BLOCK_WORK // max(1, work), -(-n_parts // MOST_BLOCKS))
    n_blocks = -(-n_parts // size)
    return size, n_blocks, max(1, min(effective_n_threads(n_jobs), n_blocks))


def run(
    kernel: Kernel,
    n_workers: int,
    work: int,
    args: tuple[Any, ...],
    *,
    n_blocks: int = 0,
    block_work: int = BLOCK_WORK,
) -> npt.NDArray[np.int64]:
    """Call a kernel whose last arguments are `claims` and a range of workers.

    Parameters
    ----------
    kernel : Kernel
        What to call.
    n_workers : int
        Threads that there is work and workspace for; fewer may do it, with the same bits.
    work : int
        Multiply-adds in all; helpers are not woken for little.
    args : tuple
        Its other arguments, features first.
    n_blocks : int
        Blocks of its first phase, where the kernel does not publish it.
    block_work : int
        Multiply-adds of a block, about.

    Returns
    -------
    claims : ndarray
        What the kernel left there.
    """
    claims = new_claims(n_blocks, block_work)
    # The fourth is the targets in training, the order of samples in predictions.
    kind = kernel.serial, args[0].dtype, args[1] is None, args[3].dtype
    if work < MIN_CALL_WORK or kind not in _compiled:
        n_workers = 1
    if n_workers > 1:
        available_threads()

    def call(share: int) -> None:
        _share_out(kernel.serial, (*args, claims), share)

    _budget.run(call, n_workers)
    _compiled.add(kind)
    return claims


def _share_out(function: Any, args: tuple[Any, ...], n_workers: int) -> None:
    """Call a kernel as worker 0, and have helpers call it as the others."""
    claims = args[-1]
    jobs: list[Job | None] = []
    try:
        for worker in range(1, n_workers):
            job = _helpers.hire(function, (*args, worker, worker + 1), _budget.n_helpers)
            jobs.append(job)
        function(*args, 0, 1)
        for job in jobs:
            # Those that have not begun are not needed any more.
            if job is not None and not job.call_off() and claims[DONE] < claims[TOTAL]:
                job.wait()
    finally:
        # Whatever was raised, no helper is to begin with what is left.
        end_claims(claims)


def run_serial(function: Callable[..., Any], *args: Any) -> Any:
    """Call a compiled function that keeps one thread busy."""
    return _budget.run(lambda share: function(*args), 1)
