"""Calls without number leave nothing behind: memory, threads and open files stay what they are."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from .._support.programs import ROOT, program

pytestmark = [
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="the platform has no /proc to measure by"
    ),
    pytest.mark.processes,
]

# Of predictions, of fits, and of threads that predict once and end.
SHORT = (3_000, 60, 100)
LONG = (100_000, 1_000, 1_000)
# What may be there more than before. 8 MB are 3 kB for each prediction of the short run, and
# 80 bytes of the long one.
TOLERANCE = {"bytes": 8e6, "threads": 0, "files": 0, "objects": 100}


def measures_of(counts, path):
    """Return what endurance.py measures."""
    run = subprocess.run(
        program("robustness.endurance", path, *counts, flags=("-W", "error")),
        cwd=ROOT,
        env=os.environ | {"NUMBA_NUM_THREADS": "2"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=100 + counts[0],
    )
    assert run.returncode == 0, run.stderr
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=pytest.mark.long),
    ],
)
def test_memory_threads_and_files_are_as_before(counts, tmp_path):
    before, *after = measures_of(counts, tmp_path / "measures.json")
    growth = {name: [later[name] - before[name] for later in after] for name in before}
    print(f"{before}; since then {growth}")
    for name, tolerance in TOLERANCE.items():
        assert max(growth[name]) <= tolerance, growth
