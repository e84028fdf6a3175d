"""The program of test_endurance.py: a service in short, and what it keeps of its calls.

    python -m tests.robustness.endurance measures.json 3000 60 100

makes so many predictions and fits, and starts so many threads that predict once each; some
calls fail. It measures before, after some that warm it up, half-way, and at the end: bytes
of memory, threads, open files and Python objects.
"""

import gc
import itertools
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

import joblib
import numba
import numpy as np

from fastnet._engine import dispatch

from .._support.estimators import stopping_soon

TASKS = "/proc/self/task"
WARM_UP = (1000, 20, 40)
# A thread that has been joined may take a moment to end, and those that it had started.
DEADLINE = 30

rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 40)).astype(np.float32)
y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
damaged = X.copy()
damaged[-1, -1] = np.nan


model = stopping_soon(batch_size=300).fit(X, y)
methods = itertools.cycle(
    [model.predict, model.predict_proba, model.predict_log_proba, model.decision_function]
)
rows = itertools.cycle([X[:1], X])
wrong = itertools.cycle([X[:, 1:], damaged, "no array"])
ways = itertools.cycle([{}, {"batch_size": 1}, {"solver": "rprop"}, {"early_stopping": True}])


def fails(call, *arguments):
    try:
        call(*arguments)
    except ValueError:
        return
    raise AssertionError("there should have been an error")


def predict(i):
    next(methods)(next(rows))
    if i % 10 == 0:
        fails(next(methods), next(wrong))


def fit(i):
    """Fit a new estimator, which is then garbage, and go on with the one that predicts."""
    stopping_soon(**{"batch_size": 300, "random_state": None} | next(ways)).fit(X[:400], y[:400])
    model.partial_fit(X[:400], y[:400])
    if i % 10 == 0:
        fails(model.fit, damaged, y)
        model.fit(X, y)


def start_four_threads(_):
    threads = [threading.Thread(target=model.predict_proba, args=(X,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def work(n_predictions, n_fits, n_threads):
    for i in range(n_predictions):
        predict(i)
    for i in range(n_fits):
        fit(i)
    for i in range(n_threads // 4):
        start_four_threads(i)


def entries(folder):
    return len(list(Path(folder).iterdir()))


def measure(most_threads):
    """Return what the process holds, once no more than so many threads are left."""
    last = time.monotonic() + DEADLINE
    while entries(TASKS) > most_threads and time.monotonic() < last:
        time.sleep(0.01)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * resource.getpagesize(),
        "threads": entries(TASKS),
        "files": entries("/proc/self/fd"),
        "objects": len(gc.get_objects()),
    }


def main(path, *counts):
    n_cores = numba.config.NUMBA_NUM_THREADS
    os.sched_getaffinity = lambda pid: set(range(n_cores))
    joblib.cpu_count = lambda: n_cores
    dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
    dispatch.BLOCK_WORK = 10_000
    counts = [int(count) for count in counts]
    work(*WARM_UP)
    measures = [measure(entries(TASKS))]
    for _ in range(2):
        work(*(count // 2 for count in counts))
        measures.append(measure(measures[0]["threads"]))
    # Helpers were started, so there was something to keep.
    assert len(dispatch._helpers._all) == n_cores - 1
    Path(path).write_text(json.dumps(measures))


if __name__ == "__main__":
    main(*sys.argv[1:])
