"""The program of test_memory_errors.py: fits and predictions with too little memory.

It tells how they end for each scenario, with more and more memory, as JSON on stdout.
"""

import json
import resource
from functools import partial
from pathlib import Path

import numpy as np

from fastnet import kernels
from fastnet._engine import dispatch

from .._support import estimators
from .._support.faults import Outcomes, state

MEGABYTES = (0, 0.1, 1, 3, 6, 10, 15, 20, 40, 1000)
rng = np.random.default_rng(0)
# 16 MB, of which a copy must be made; and a network of 2 MB.
TALL, WIDE = np.asfortranarray(rng.normal(size=(40_000, 50))), rng.normal(size=(60, 50))
LABELS = rng.integers(2, size=len(TALL))


unfitted = partial(estimators.unfitted, hidden_layer_sizes=(4,), max_iter=2, batch_size=20_000)


def wide(**parameters):
    return unfitted(hidden_layer_sizes=(5_000,), batch_size=30, **parameters)


def fit_tall(model):
    return model.fit(TALL, LABELS)


def fit_wide(model):
    return model.fit(WIDE, LABELS[: len(WIDE)])


def partial_fit(model):
    return model.partial_fit(WIDE, LABELS[: len(WIDE)], classes=[0, 1])


def with_memory(megabytes, act, *arguments):
    """Call a function that may map so much more memory."""
    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    n_bytes = n_pages * resource.getpagesize() + int(megabytes * 1e6)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, hard))
    try:
        return act(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def ends_of_fits(prepared, act):
    outcomes = Outcomes(prepared, act)
    # Loads what there is to load.
    assert outcomes.whole != outcomes.before
    return [
        outcomes.of(partial(with_memory, megabytes, act), MemoryError) for megabytes in MEGABYTES
    ]


def ends_of_first_use():
    """Return how a fit ends whose kernels must be compiled, or loaded."""
    model = unfitted(batch_size=1)
    before, samples = state(model), WIDE.astype(np.float32)
    kernels.train_rows._cache.disable()
    ends = []
    for megabytes in (0, 10, 50, 100, 140, 1000):
        try:
            with_memory(megabytes, model.fit, samples, LABELS[: len(WIDE)]).predict(samples)
        except MemoryError:
            assert state(model) == before
            ends.append("unchanged")
        else:
            ends.append("whole")
    return ends


def ends_of_predictions(method):
    model = fit_tall(unfitted())
    before, predict = state(model), getattr(model, method)
    expected = predict(TALL)
    ends = []
    for megabytes in MEGABYTES:
        try:
            actual = with_memory(megabytes, predict, TALL)
        except MemoryError:
            ends.append("unchanged")
        else:
            np.testing.assert_equal(actual, expected)
            ends.append("whole")
        assert state(model) == before
        actual = None
    return ends


def main():
    dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
    dispatch.BLOCK_WORK = 10_000
    fit_tall(unfitted(n_jobs=1)).predict(TALL)
    fit_wide(wide(n_jobs=1))
    ends = {
        "first fit": ends_of_fits(unfitted(), fit_tall),
        "refit": ends_of_fits(fit_wide(wide(early_stopping=True)), fit_wide),
        "warm start": ends_of_fits(fit_wide(wide(solver="rprop", warm_start=True)), fit_wide),
        "L-BFGS": ends_of_fits(wide(solver="lbfgs"), fit_wide),
        "first part": ends_of_fits(wide(), partial_fit),
        "later part": ends_of_fits(partial_fit(wide(solver="sgd")), partial_fit),
        "predict_proba": ends_of_predictions("predict_proba"),
        "activations": ends_of_predictions("activations"),
        # Last: what the compiler frees is memory that no limit counts.
        "first use": ends_of_first_use(),
    }
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
