"""Forks, pools, servers and schedulers: the right bits in all of them, and an end.

A scenario is a function of forks.py or processes.py. Those that one process can perform are
performed by one, as it takes a second to start; in this order, as the first ones are of a
process that has not started helpers.
"""

import functools
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from fastnet._engine import dispatch

from .._support.programs import ROOT, program

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="children are forked, and seen in /proc"),
    pytest.mark.skipif(
        dispatch.effective_n_threads(None) < 2, reason="one core: nobody helps here"
    ),
    pytest.mark.processes,
]

FORKS = (
    "child_before_any_threads",
    "child_on_one_core",
    "parent",
    "child",
    "child_with_sigterm_handler",
    "grandchild",
    "threads_of_a_grandchild",
    "child_of_a_thread",
    "child_of_a_call",
    "child_while_a_thread_compiles",
    "children_while_threads_compute",
    "children_while_threads_look_for_kernels",
    "preforking_server",
    "pool fork",
    "parallel multiprocessing",
    "parallel threading",
    "search multiprocessing",
    "search threading",
    "dask_graph threads",
    "dask_graph synchronous",
)
# Processes that start from nothing.
WORKERS = ("pool spawn", "pool forkserver", "parallel loky", "search loky", "limit_of_joblib")
PLAIN = {
    "plain_parent": "computes",
    "plain_child": "dies of SIGTERM",
    "plain_child_with_sigterm_handler": "returns without having computed after SIGTERM",
    "plain_grandchild": "hangs",
}
# The first of PLAIN lets numba launch its threads.
BESIDE = ("child", "child_with_sigterm_handler", "grandchild", "child_of_a_thread")
TIMEOUT = 600


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory):
    """Return a function that returns the outcome of one of some scenarios."""
    outcomes_of = functools.cache(functools.partial(perform, tmp_path_factory))

    def outcome_of(scenario, scenarios, layer="default"):
        outcomes, stderr = outcomes_of(scenarios, layer)
        if "No threading layer could be loaded" in str(outcomes):
            pytest.skip(f"numba finds no {layer} here")
        return outcomes.get(scenario, stderr)

    return outcome_of


def perform(tmp_path_factory, scenarios, layer):
    """Return the outcomes of scenarios, as far as a process gets, and what it complains of."""
    libraries = os.pathsep.join([f"{sys.prefix}/lib", os.environ.get("LD_LIBRARY_PATH", "")])
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "LD_LIBRARY_PATH": libraries}
    # The workers of loky are to have the limit that joblib sets.
    environment.pop("NUMBA_NUM_THREADS", None)
    # From 3.12 on Python warns of every fork while there are threads.
    warnings = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    folder = tmp_path_factory.mktemp("processes")
    outcomes = folder / "outcomes"
    outcomes.write_text("{}")
    command = program("robustness.processes", outcomes, *scenarios, flags=warnings)
    # Not a pipe: a child that hangs would keep it open.
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr,
            start_new_session=True,
        )  # fmt: skip
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(TIMEOUT)
    finally:
        # With all of its children that hang.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return json.loads(outcomes.read_text()), (folder / "stderr").read_text()


@pytest.mark.parametrize("scenario", FORKS)
def test_same_bits_in_children_and_pools(scenario, outcome_of):
    if scenario.startswith("dask"):
        pytest.importorskip("dask")
    assert outcome_of(scenario, FORKS) == "same bits"


@pytest.mark.parametrize("scenario", [*PLAIN, *BESIDE])
def test_a_fork_where_numbas_threads_run(scenario, outcome_of):
    """What numba alone does there is why fastnet has threads of its own."""
    scenarios = ("openmp_vendor", *PLAIN, *BESIDE)
    vendor = outcome_of("openmp_vendor", scenarios, "omp")
    if vendor != "GNU":
        pytest.skip(f"numba's OpenMP is not GNU's but {vendor}")
    assert outcome_of(scenario, scenarios, "omp") == PLAIN.get(scenario, "same bits")


@pytest.mark.parametrize("scenario", WORKERS)
def test_same_bits_in_processes_that_start_anew(scenario, outcome_of):
    assert outcome_of(scenario, WORKERS) == "same bits"
