"""Workers that are Python threads, as those of `dispatch.py` are, each with a deadline."""

import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels
from fastnet.kernels.claims import PATIENCE

# Seconds. Nothing here takes one; who is not back by then hangs.
DEADLINE = 120

# A helper starts before the caller does, and is to be there still: a few milliseconds.
_LOOKS = 100_000


def new_claims(n_blocks: int = 0) -> npt.NDArray[np.int64]:
    """Return what workers share, who look for work for longer than is usual."""
    claims = kernels.new_claims(n_blocks)
    claims[PATIENCE] = _LOOKS
    return claims


def blocks_of(n_parts: int, size: int) -> int:
    """Return how many blocks there are of so many parts each."""
    return -(-n_parts // size)


def call_in_threads(calls: list[Callable[[], Any]]) -> None:
    """Make each call in a thread of its own, the last one first; raise what one of them did."""
    errors: list[BaseException] = []

    def make(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    # Daemons: one that hangs does not keep the process.
    threads = [threading.Thread(target=make, args=(call,), daemon=True) for call in calls]
    for thread in reversed(threads):
        thread.start()
    for worker, thread in enumerate(threads):
        thread.join(DEADLINE)
        assert not thread.is_alive(), f"worker {worker} hangs"
    if errors:
        raise errors[0]


class FromThreads:
    """The serial form of a kernel, for each worker in a thread of its own, worker 0 last."""

    def __init__(self, form: Any) -> None:
        self._form = form
        self._signature = inspect.signature(form.py_func)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Call the form; arguments are its own, the range of workers last."""
        *shared, first, last = self._signature.bind(*args, **kwargs).args

        def call(worker: int) -> Callable[[], Any]:
            return lambda: self._form(*shared, worker, worker + 1)

        call_in_threads([call(worker) for worker in range(first, last)])


def shares_by_claims(kernel: Any) -> bool:
    """Return whether the last arguments of a kernel are claims and a range of workers."""
    return "claims" in inspect.signature(kernel.serial.py_func).parameters
