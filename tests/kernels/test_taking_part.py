"""The bits are the same where every worker took part in a call."""

import os
import subprocess

import pytest

from .._support.programs import ROOT, program

pytestmark = pytest.mark.processes


def output_of(whose, **environment):
    return subprocess.run(
        program("kernels.taking_part", whose),
        cwd=ROOT,
        env=os.environ | {"NUMBA_NUM_THREADS": "7"} | environment,
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_same_bits_where_every_thread_took_part():
    run = output_of("threads")
    assert run.stdout.split() == ["threads"], run.stderr


# TBB may run one worker after the other in one thread.
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_same_bits_where_each_of_numbas_threads_took_part(layer):
    run = output_of("numba", NUMBA_THREADING_LAYER=layer)
    if "No threading layer could be loaded" in run.stderr:
        pytest.skip(f"numba finds no {layer} here")
    assert run.stdout.split() == [layer], run.stderr
