"""Say that a kernel is compiled, which takes seconds: in Python's log, and to who asks."""

import contextlib
import logging
from collections.abc import Callable, Iterator

_LOGGER = logging.getLogger("fastnet")

_listeners: list[Callable[[str], object]] = []


def tell(message: str) -> None:
    """Log a message, and hand it to each listener once."""
    _LOGGER.info(message)
    # The same function can listen for two fits in two threads.
    for listener in dict.fromkeys(_listeners):
        listener(message)


@contextlib.contextmanager
def told_to(listener: Callable[[str], object]) -> Iterator[None]:
    """Hand to a function what is compiled meanwhile, in this thread or another."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
