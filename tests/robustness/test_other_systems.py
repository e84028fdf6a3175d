"""Systems that lack what Linux has, such as Windows and macOS: nothing of fastnet needs it.

They are not at hand. So a process takes away what `os` and `signal` have on Linux alone, or not
on Windows, before it imports fastnet.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnet

from .._support.programs import ROOT

pytestmark = pytest.mark.processes

# Some are of Linux, the others of POSIX.
LINUX = ["sched_getaffinity", "sched_setaffinity", "sysconf"]
POSIX = [
    "fork", "register_at_fork", "getuid", "geteuid", "getgid", "getegid", "setuid", "fchmod",
    "fchown", "chown", "getpgid", "killpg", "setsid", "O_DIRECTORY",
    "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "getloadavg", "uname", "mkfifo",
]  # fmt: skip
SYSTEMS = {"macOS": LINUX, "Windows": LINUX + POSIX}

PROGRAM = """
import os, signal, sys, warnings
import joblib, numba, sklearn.base, sklearn.neural_network, sklearn.metrics, scipy.sparse

names, folder = sys.argv[1].split(","), sys.argv[2]
for name in names:
    delattr(os, name)
if "fork" in names:
    del signal.SIGALRM, signal.setitimer, signal.pthread_sigmask
    for module in ("fcntl", "grp", "pwd", "resource", "termios"):
        sys.modules[module] = None

# joblib says so where sys.platform is "linux".
warnings.filterwarnings("ignore", message="Failed to inspect CPU affinity")
import fastnet
from tests.robustness.test_other_systems import digest

print(digest(folder))
fastnet.show_versions()
"""


def digest(folder: str) -> str:
    """Fit, predict, save and load; return a digest of what came out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 8))
    model = fastnet.SigmoidMLPClassifier((6,), max_iter=3, tol=9.0, n_iter_no_change=1, n_jobs=2)
    model.set_params(random_state=0).fit(X, X[:, 0] > 0)
    path = Path(folder) / "model.fastnet"
    for _ in range(2):
        # The second time there is a file to replace.
        fastnet.save(model, path)
    outputs = fastnet.load(path).predict_proba(X)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return hashlib.sha256(outputs.tobytes()).hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all that is taken away")
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_without_them(system: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, ",".join(SYSTEMS[system]),
         str(tmp_path / "there")],
        cwd=ROOT, env=os.environ | {"NUMBA_NUM_THREADS": "2"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, *rest = done.stdout.splitlines()
    assert found == digest(str(tmp_path / "here"))
    assert any("at most" in line for line in rest)
