"""Many Python threads: the bits of one, no more threads than there are, and no abort.

A check is a function of concurrent_calls.py or thread_counts.py; one process makes all of
them, as it takes a second to start.
"""

import json
import os
import subprocess
import sys

import numba
import pytest

from fastnet._engine import dispatch

from .._support.programs import ROOT, program

pytestmark = pytest.mark.processes

CHECKS = (
    "first_calls",
    "predictions",
    "fits",
    "predictions_during_fits",
    "fits_of_one_estimator",
    "partial_fits_of_one_estimator",
    "pools",
    "two_at_once",
    "busy_threads",
    "errors",
    "handler_predicts",
    "handler_raises",
    "beside_numbas_threads",
)
TIMEOUT = 600

# A fit and a prediction that would use several threads, where there are several.
LIMITED = """
import numpy as np
from fastnet import SigmoidMLPClassifier
from fastnet._engine import dispatch

dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
dispatch.BLOCK_WORK = 10_000
X = np.random.default_rng(0).normal(size=(1100, 40)).astype(np.float32)
y = X[:, 0] > 0
model = SigmoidMLPClassifier((32,), batch_size=300, tol=10, n_iter_no_change=1)
model.set_params(learning_rate_init=0.05)
for _ in range(2):
    # The first call of a kernel is not shared.
    model.fit(X, y).predict(X)
print(dispatch.available_threads(), len(dispatch._helpers._all))
"""

needs_linux = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the platform has no affinity masks"
)
needs_two_cores = pytest.mark.skipif(
    dispatch.available_threads() < 2, reason="one core: there is nothing to limit"
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Return the outcomes of all checks, and how the process that made them ended."""
    # The layer that two threads may not use at once: none does, but in the last check.
    environment = {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "4"}
    path = tmp_path_factory.mktemp("threads") / "outcomes.json"
    run = subprocess.run(
        program("robustness.threads", path, *CHECKS, flags=("-W", "error")),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
    )
    outcomes = json.loads(path.read_text()) if path.exists() else {}
    return outcomes, f"exit code {run.returncode}: {run.stderr}"


@pytest.mark.parametrize("check", CHECKS)
def test_many_threads(check, outcomes):
    if check.startswith("handler") and not hasattr(os, "fork"):
        pytest.skip("the platform has no timers that send signals")
    found, end = outcomes
    assert found.get(check, end) == "as promised"


@needs_linux
@needs_two_cores
def test_a_changed_affinity_mask_counts_at_once():
    mask = os.sched_getaffinity(0)
    before = dispatch.available_threads()
    try:
        os.sched_setaffinity(0, [min(mask)])
        assert dispatch.available_threads() == 1
        assert dispatch.effective_n_threads(None) == 1
    finally:
        os.sched_setaffinity(0, mask)
    assert dispatch.available_threads() == before


@needs_linux
@needs_two_cores
@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        # As joblib sees the quota of a cgroup.
        ({"LOKY_MAX_CPU_COUNT": "1"}, ""),
        ({"NUMBA_NUM_THREADS": "1"}, ""),
        ({}, "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"),
    ],
    ids=["quota", "numba", "affinity"],
)
def test_on_one_core_no_thread_is_started(setting, statement):
    run = subprocess.run(
        [sys.executable, "-c", statement + LIMITED],
        env=os.environ | setting,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.stdout.split() == ["1", "0"], run.stderr


def test_the_least_limit_counts():
    limits = dispatch.thread_limits()
    assert limits["NUMBA_NUM_THREADS"] == numba.config.NUMBA_NUM_THREADS
    assert dispatch.available_threads() == min(limits.values()) > 0
