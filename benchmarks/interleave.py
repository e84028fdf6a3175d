"""Times taken alternately, A B A B ..., and the ratio of what stood side by side.

The speed of a shared machine drifts by more than most differences are worth. Two
measurements next to each other drift together: their ratio can be trusted where neither
time can.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import bootstrap

# A measurement repeats a call until it takes this long, far above the clock's resolution.
MIN_SECONDS = 0.02
# Threads that have done their work spin for a while, on cores that the next contender
# needs: OpenBLAS's for 0.1 s, OpenMP's for 0.01 s.
IDLE_SECONDS = 0.01
MAX_WAITS = 50
# Fewer rounds have no useful median.
MIN_ROUNDS = 5


@dataclass(frozen=True)
class Ratio:
    """A median ratio of times, with its 95 % confidence interval."""

    median: float
    low: float
    high: float
    pairs: tuple[float, ...]

    @classmethod
    def of(cls, slower: list[float], faster: list[float]) -> Self:
        """Compare the times of two contenders, pair by pair."""
        pairs = np.divide(slower, faster)
        interval = bootstrap((pairs,), np.median, method="percentile").confidence_interval
        return cls(
            float(np.median(pairs)),
            float(interval.low),
            float(interval.high),
            tuple(pairs.tolist()),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what a JSON file keeps of it."""
        return asdict(self)


def interleave(
    contenders: Mapping[str, Callable[[], object]],
    check: Callable[[], None] | None = None,
    n_rounds: int = 15,
    max_seconds: float = 10.0,
) -> dict[str, list[float]]:
    """Time some calls alternately.

    Parameters
    ----------
    contenders : mapping of str to callable
        What to time, by name.
    check : callable, optional
        Raises unless the contenders' results are right; called before any timing.
    n_rounds : int
        How often to time each of them.
    max_seconds : float
        No round begins after this time, but `MIN_ROUNDS` are always made.

    Returns
    -------
    dict of str to list of float
        Seconds of a call, one for each round; the minimum is the best estimate of the
        time, and `Ratio.of` two lists that of a ratio.
    """
    if check is not None:
        check()
    repeats = {name: _repeats(call) for name, call in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + max_seconds
    for done in range(n_rounds):
        if done >= min(MIN_ROUNDS, n_rounds) and time.perf_counter() > end:
            break
        # Every other round goes backwards, so that nobody always follows the same one.
        for name in list(contenders)[:: -1 if done % 2 else 1]:
            times[name].append(_measure(contenders[name], repeats[name]))
    return times


def _repeats(call: Callable[[], object]) -> int:
    """Warm a call up, and return how many of it make a measurement."""
    call()
    seconds = _seconds(call, 1)
    return max(1, int(np.ceil(MIN_SECONDS / seconds)))


def _measure(call: Callable[[], object], repeats: int) -> float:
    _wait_until_idle()
    # The caches hold the last contender's data; only a short call suffers.
    if repeats > 1:
        call()
    return _seconds(call, repeats) / repeats


def _wait_until_idle() -> None:
    """Sleep until no thread of this process is busy."""
    for _ in range(MAX_WAITS):
        before = time.process_time()
        time.sleep(IDLE_SECONDS)
        if time.process_time() - before < IDLE_SECONDS / 10:
            return


def _seconds(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - start
