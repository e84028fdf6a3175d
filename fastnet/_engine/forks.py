"""A fork waits until no other thread compiles.

A lock of the compiler that another thread holds would be locked for ever in the child, where
that thread does not exist, and the child's first kernel would wait for it.
"""

import _thread
import os
import threading
import time
from typing import Any

from fastnet.kernels import COMPILER_LOCKS

# An interrupt that came while a fork waited is repeated so long after it.
_SOON_SECONDS = 0.01


class _Forking(threading.local):
    """Of each thread that forks: what it took for that, and whether Ctrl-C came meanwhile.

    There is a list of locks for each fork under way: the handler of a signal may fork too.
    """

    def __init__(self) -> None:
        self.taken: list[list[Any]] = []
        self.is_interrupted = False


_forking = _Forking()


def take_locks() -> None:
    """Take those of the compiler's locks that this thread does not have."""
    taken: list[Any] = []
    _forking.taken.append(taken)
    for lock in COMPILER_LOCKS:
        if not lock._is_owned():
            # First, so that it is returned whatever a signal's handler raises meanwhile.
            taken.append(lock)
            _take(lock)


def _take(lock: Any) -> None:
    """Take a lock, whatever signals come: CPython drops what is raised here, and forks."""
    while not lock._is_owned():
        try:
            lock.acquire()
        except KeyboardInterrupt:
            _forking.is_interrupted = True
        except BaseException:
            continue


def return_locks() -> None:
    """Return what this thread took for its last fork."""
    if _forking.taken:
        for lock in _forking.taken.pop():
            if lock._is_owned():
                lock.release()


def return_locks_in_child() -> None:
    """Do so in the child, where nobody has pressed Ctrl-C."""
    return_locks()
    _forking.is_interrupted = False


def return_locks_and_interrupt() -> None:
    """Do so in the parent, and see that Ctrl-C is not lost."""
    return_locks()
    if _forking.is_interrupted:
        _forking.is_interrupted = False
        # What is raised here is dropped as well, so another thread raises it, a little later.
        _thread.start_new_thread(_interrupt_soon, ())


def _interrupt_soon() -> None:
    time.sleep(_SOON_SECONDS)
    _thread.interrupt_main()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=take_locks,
        after_in_parent=return_locks_and_interrupt,
        after_in_child=return_locks_in_child,
    )
