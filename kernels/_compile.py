"""Compile kernels where no signal is heard, and where there is memory for it."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from ._numba import global_compiler_lock, llvm, numba_threads
from ._processor import warn_if_slow

# What compiles, and what only asks LLVM something, in the order in which numba takes them.
COMPILER_LOCKS = (global_compiler_lock._lock, llvm.lib._lock._lock)

# Compiling a kernel, or loading it, was seen to take 80 MB of address space at most.
_N_BYTES = 128 * 2**20

# The compiler is as deep in calls as a main thread lets it be.
_STACK_BYTES = 8 * 2**20


def compile_apart(dispatcher: Any, *, parallel: bool) -> None:
    """Let a dispatcher compile and load its kernel in a thread of its own, if that helps.

    Handlers of signals run in the main thread only. What one raised while LLVM called back
    was lost; while numba sets itself up, no kernel could ever be compiled again; and while
    llvmlite handed an object over, one of 200 processes died. Now the caller hears it at
    once, and the other thread compiles to the end.
    """
    with_memory = functools.partial(_with_memory, dispatcher.compile)
    dispatcher.compile = functools.partial(_compile, with_memory, parallel)


def _with_memory(compile_here: Callable[[Any], Any], sig: Any) -> Any:
    with global_compiler_lock:
        _check_memory()
        warn_if_slow()
        return compile_here(sig)


def _check_memory() -> None:
    """Raise an error if there is too little memory to compile; LLVM would abort the process."""
    # None of it is touched.
    np.empty(_N_BYTES, np.uint8)


def _compile(compile_here: Callable[[Any], Any], parallel: bool, sig: Any) -> Any:
    if not _may_be_apart():
        return compile_here(sig)
    # CPython waits for ever for a thread that has no memory to begin with.
    _check_memory()
    if parallel and not numba_threads._is_initialized:
        # TBB complains if another thread than the one that launched its threads forks.
        numba_threads._launch_threads()
    compiled: Future[Any] = Future()

    def compile_there() -> None:
        try:
            compiled.set_result(compile_here(sig))
        except BaseException as error:
            compiled.set_exception(error)

    try:
        threading.Thread(target=compile_there).start()
    except RuntimeError:
        # No thread can be started: the interpreter ends, or there are too many.
        return compile_here(sig)
    return compiled.result()


def _may_be_apart() -> bool:
    """Return whether this is the thread that hears signals, and another one could compile."""
    return (
        threading.current_thread() is threading.main_thread()
        # A handler that predicts, on top of the compiler: the other thread would wait for us.
        and not any(lock._is_owned() for lock in COMPILER_LOCKS)
        and not 0 < threading.stack_size() < _STACK_BYTES
    )
