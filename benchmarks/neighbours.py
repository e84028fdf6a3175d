"""What else goes on where `benchmarks.company` measures: other processes, other libraries."""

import contextlib
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .company_calls import Pair

# In C, without a system call, until whoever started it is gone.
_SPIN = """
import itertools, os
parent = os.getppid()
while os.getppid() == parent:
    any(itertools.repeat(False, 10_000_000))
"""
_N_ROWS = 100
_N_FEATURES = 28
_START_SECONDS = 60.0
_STOP = 255


@contextlib.contextmanager
def spinning_process() -> Iterator[None]:
    """Keep one core busy from another process."""
    with subprocess.Popen([sys.executable, "-c", _SPIN]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def predecessors() -> dict[str, Callable[[], object]]:
    """Return calls whose threads still spin when they have returned, by name."""
    # A second to import, in processes of which most need none of them.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.kernel_approximation import Nystroem
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    cube = rng.standard_normal((300, 300)).astype(np.float32)
    X = rng.standard_normal((1_000, _N_FEATURES))
    y = X[:, 0] + rng.standard_normal(len(X)) > 0
    few = X[:_N_ROWS]
    trees = HistGradientBoostingClassifier(max_iter=20).fit(X, y)
    nearest = KNeighborsClassifier().fit(X, y)
    nystroem = Nystroem(n_components=100, random_state=0).fit(X)
    return {
        "BLAS": lambda: cube @ cube,
        "HistGradientBoosting": lambda: trees.predict_proba(few),
        "KNeighbors": lambda: nearest.predict(few),
        "Nystroem": lambda: nystroem.transform(few),
    }


class Twin:
    """Another process that makes the same call, in the same form, over and over.

    Parameters
    ----------
    command : sequence of str
        What starts it; the path of the file by which the two agree is appended. Its four
        bytes are the call and the form that are wanted, and those that it is at.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def __enter__(self) -> "Twin":
        self._file = tempfile.NamedTemporaryFile()
        self._file.write(bytes([0, 0, _STOP, _STOP]))
        self._file.flush()
        self._agreed = mmap.mmap(self._file.fileno(), 4)
        self._process = subprocess.Popen([*self._command, self._file.name])
        return self

    def __exit__(self, *error: object) -> None:
        self._agreed[0] = _STOP
        self._process.wait()
        self._file.close()

    def turn(self, call: int, form: int) -> None:
        """Have it make this call in this form, and wait until it does."""
        self._agreed[:2] = wanted = bytes([call, form])
        end = time.perf_counter() + _START_SECONDS
        while self._agreed[2:4] != wanted:
            if self._process.poll() is not None or time.perf_counter() > end:
                raise RuntimeError("the other process does not follow")
            time.sleep(0.001)


def be_twin(path: Path, make: Callable[[int], Pair]) -> None:
    """Do as the process says that wrote the file."""
    parent = os.getppid()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4) as agreed:
        at = bytes([_STOP, _STOP])
        while agreed[0] != _STOP and os.getppid() == parent:
            wanted = agreed[:2]
            if wanted != at:
                if wanted[0] != at[0]:
                    pair = make(wanted[0])
                agreed[2:4] = at = wanted
            pair[at[1]]()
