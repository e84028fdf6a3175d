"""With NUMBA_BOUNDSCHECK=1 a wrong index in a kernel is an error, so that run is a test."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

BEYOND = """
import numpy as np
from fastnet.kernels import _jit

@_jit.device
def element(x, i):
    return x[i]

def first(x, i):
    return element(x, i)

kernel = _jit.serial_kernel(first)
kernel(np.ones(3), 2)
try:
    kernel(np.ones(3), 3)
except IndexError:
    print("IndexError")
"""


def test_an_index_beyond_an_array_is_an_error():
    run = subprocess.run(
        [sys.executable, "-c", BEYOND],
        env=os.environ | {"NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert "IndexError" in run.stdout
