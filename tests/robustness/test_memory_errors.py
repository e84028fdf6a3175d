"""Memory that runs out: a MemoryError, and the estimator as it was."""

import json
import os
import subprocess
import sys
from functools import partial
from operator import methodcaller

import numpy as np
import pytest

from fastnet import kernels

from .._support import estimators
from .._support.faults import Outcomes, state
from .._support.programs import ROOT, program

# A number of epochs is asked for, and noise teaches nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.processes,
]

TIMEOUT = 300

rng = np.random.default_rng(0)
X, y = rng.normal(size=(48, 3)), rng.integers(2, size=48)


unfitted = partial(estimators.unfitted, batch_size=16, max_iter=2)
fit = methodcaller("fit", X, y)


def partial_fit(model):
    return model.partial_fit(X, y, classes=[0, 1])


SCENARIOS = {
    "early stopping": (lambda: unfitted(early_stopping=True), fit),
    "L-BFGS": (lambda: unfitted(solver="lbfgs"), fit),
    "warm start": (lambda: fit(unfitted(solver="rprop", warm_start=True)), fit),
    "part": (lambda: partial_fit(unfitted(batch_size=1)), partial_fit),
}


class Failing:
    """Allocates as another function does, until it has no more memory."""

    def __init__(self, allocate, n_calls):
        self.allocate, self.n_left = allocate, n_calls

    def __call__(self, *args, **kwargs):
        self.n_left -= 1
        if self.n_left < 0:
            raise MemoryError
        return self.allocate(*args, **kwargs)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize(
    ("module", "function"),
    [(np, "empty"), (np, "zeros"), (kernels, "aligned_zeros"), (kernels, "new_panels")],
    ids=["empty", "zeros", "aligned_zeros", "new_panels"],
)
def test_an_allocation_that_fails(name, module, function, monkeypatch):
    prepare, act = SCENARIOS[name]
    outcomes, ends = Outcomes(prepare(), act), []
    # Loads what there is to load.
    assert outcomes.whole != outcomes.before
    while ends[-1:] != ["whole"]:
        failing = Failing(getattr(module, function), n_calls=len(ends))

        def act_in_need(model, failing=failing):
            with monkeypatch.context() as patched:
                patched.setattr(module, function, failing)
                act(model)

        ends.append(outcomes.of(act_in_need, MemoryError))
        assert (ends[-1] == "whole") == (failing.n_left >= 0)
    assert len(ends) > 1


def test_a_network_that_no_memory_holds():
    model = fit(unfitted())
    before = state(model.set_params(hidden_layer_sizes=(2**44,)))
    with pytest.raises(MemoryError):
        fit(model)
    assert state(model) == before


@pytest.fixture(scope="module")
def ends():
    """Return how fits and predictions end with more and more memory."""
    # glibc shall give back what is free, and have no more in reserve.
    variables = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    variables |= {"MALLOC_TRIM_THRESHOLD_": "65536"}
    command = program("robustness.limits", flags=("-W", "ignore"))
    return json.loads(
        subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            check=True,
            timeout=TIMEOUT,
        ).stdout
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize(
    "call",
    [
        "first use", "first fit", "refit", "warm start", "L-BFGS", "first part", "later part",
        "predict_proba", "activations",
    ],
)  # fmt: skip
def test_a_limit_to_memory(call, ends):
    """Nothing but MemoryError and the right bits, wherever in a call memory runs out."""
    assert ends[call][0] == "unchanged"
    assert ends[call][-1] == "whole"
    assert set(ends[call]) == {"unchanged", "whole"}
