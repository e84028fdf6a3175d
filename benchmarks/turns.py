"""Two forms of a call, timed some calls of one and then of the other.

`interleave` waits until no thread is busy and repeats short calls until they take long: what
the work of a call itself costs. Here a form is in its stride among whatever else is going on,
and every call counts for itself, the slowest above all.
"""

import time
from collections.abc import Callable

from .company_calls import Call, Pair
from .interleave import MIN_ROUNDS

# No round of a call begins after so many seconds.
MAX_SECONDS = 3.0
# A form is timed when it has been called for so long: two periods of a quota, and many of
# a scheduler's time slices. Until then what the other has used up or left spinning counts.
LEAD_SECONDS = 0.2
# Then so many calls are timed, of slow ones fewer.
RUN = 25
SLOW_RUN = 5
QUICK_SECONDS = 0.01


def alternate(
    pair: Pair,
    before: Call | None,
    turn: Callable[[int], None] | None,
    n_rounds: int,
    lead_seconds: float,
) -> tuple[list[float], list[float]]:
    """Time both forms of a call alternately, some calls of one and then of the other.

    Parameters
    ----------
    pair : Pair
        The two forms.
    before : callable or None
        What each timed call follows at once.
    turn : callable or None
        Told which of the two comes next.
    n_rounds : int
        How often to time each of them, unless `MAX_SECONDS` are over.
    lead_seconds : float
        For how long a form is called, at least once, before it is timed.
    """
    run = RUN if min(_seconds(pair.serial) for _ in range(3)) < QUICK_SECONDS else SLOW_RUN
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + MAX_SECONDS
    while len(times[0]) < n_rounds:
        if len(times[0]) >= MIN_ROUNDS and time.perf_counter() > end:
            break
        n_calls = min(run, n_rounds - len(times[0]))
        for form, call in enumerate(pair):
            if turn is not None:
                turn(form)
            lead_end = time.perf_counter() + lead_seconds
            _seconds(call, before)
            while time.perf_counter() < lead_end:
                _seconds(call, before)
            times[form].extend(_seconds(call, before) for _ in range(n_calls))
    return times


def _seconds(call: Call, before: Call | None = None) -> float:
    if before is not None:
        before()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
