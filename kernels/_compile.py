"""Compile kernels where no signal is heard, and where there is memory for it."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba.np.ufunc import parallel as numba_threads

# Compiling a kernel, or loading it, was seen to take 80 MB of address space at most.
_N_BYTES = 128 * 2**20


def compile_apart(dispatcher: Any, *, parallel: bool) -> None:
    """Let a dispatcher compile and load its kernel in a thread of its own, if that helps.

    Handlers of signals run in the main thread only. What one raised while LLVM called back
    was lost; while numba sets itself up, no kernel could ever be compiled again; and while
    llvmlite handed an object over, one of 200 processes died. Now the caller hears it at
    once, and the other thread compiles to the end.
    """
    dispatcher.compile = functools.partial(_compile, dispatcher.compile, parallel)


def _compile(compile_here: Callable[..., Any], parallel: bool, sig: Any) -> Any:
    # Without memory LLVM aborts the process. numpy raises an error, and touches none of it.
    np.empty(_N_BYTES, np.uint8)
    if threading.current_thread() is not threading.main_thread():
        return compile_here(sig)
    if parallel:
        # TBB complains if another thread than the one that launched its threads forks.
        numba_threads._launch_threads()
    executor = ThreadPoolExecutor(1)
    try:
        compiled = executor.submit(compile_here, sig)
    except RuntimeError:
        # No thread can be started: the interpreter ends, or there are too many.
        return compile_here(sig)
    finally:
        executor.shutdown(wait=False)
    return compiled.result()
