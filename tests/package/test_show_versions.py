"""What a bug report should say: complete, true, and without starting anything."""

import os
import re
import subprocess
import sys
from importlib.metadata import version

import joblib
import numba
import pytest
from numba.core import config

import fastnet
from fastnet import _show_versions
from fastnet._engine import dispatch

pytestmark = pytest.mark.processes

# Prints versions in a process that has not used a thread.
FRESH = """
import sys, threading
import fastnet
from numba.np.ufunc import parallel

fastnet.show_versions()
assert not parallel._is_initialized
assert threading.active_count() == 1
assert not fastnet._engine.dispatch._helpers._all
assert not any(form.overloads for form in fastnet.kernels.forward)
"""


def lines_of(text):
    """Return what is printed, by section and name."""
    sections = {}
    for line in text.splitlines():
        if re.fullmatch(r"\S.*:", line):
            section = sections[line.rstrip(":")] = {}
        elif line:
            name, _, value = line.strip().partition(": ")
            section[name] = value
    return sections


def output_of(script, **environment):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return lines_of(run.stdout)


@pytest.fixture
def printed(capsys):
    fastnet.show_versions()
    return lines_of(capsys.readouterr().out)


def test_it_names_versions_and_this_interpreter(printed):
    assert printed["System"]["fastnet"] == fastnet.__version__
    assert printed["System"]["executable"] == sys.executable
    for name in ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib"):
        assert printed["Python dependencies"][name] == version(name)


def test_a_missing_package_is_said_to_be(monkeypatch, capsys):
    monkeypatch.setattr(_show_versions, "_DEPENDENCIES", ("no-such-package",))
    fastnet.show_versions()
    lines = lines_of(capsys.readouterr().out)
    assert lines["Python dependencies"] == {"no-such-package": "not installed"}


def test_it_says_what_limits_the_threads(printed):
    threads = printed["Threads"]
    least, _, source = threads["at most"].partition(", set by ")
    assert int(least) == dispatch.available_threads()
    assert all(threads[name] == least for name in source.split(" and "))
    assert threads["NUMBA_NUM_THREADS"] == str(config.NUMBA_NUM_THREADS)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a": 3, "b": 2, "c": 4}, "2, set by b"),
        ({"a": 2, "b": 2, "c": 4}, "2, set by a and b"),
    ],
)
def test_the_least_limit_is_the_one(limits, expected, monkeypatch, capsys):
    monkeypatch.setattr(dispatch, "thread_limits", lambda: limits)
    fastnet.show_versions()
    assert lines_of(capsys.readouterr().out)["Threads"]["at most"] == expected


def test_limits_are_those_of_their_sources(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 5)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(3)), raising=False)
    monkeypatch.setattr(dispatch, "quota_cores", lambda: 4)
    assert list(dispatch.thread_limits().values()) == [7, 5, 4, 3]
    monkeypatch.setattr(dispatch, "quota_cores", lambda: None)
    assert list(dispatch.thread_limits().values()) == [7, 5, 3]


def test_it_starts_no_threads_and_compiles_nothing():
    threads = output_of(FRESH, NUMBA_NUM_THREADS="1")["Threads"]
    assert threads["layer"].startswith("not started; NUMBA_THREADING_LAYER=")
    assert threads["at most"].startswith("1, set by NUMBA_NUM_THREADS")


def test_it_names_the_layer_that_runs(printed):
    numba.np.ufunc.parallel._launch_threads()
    assert _show_versions.threading_layer().startswith(numba.threading_layer())


@pytest.mark.parametrize(
    ("features", "expected"),
    [("+avx,+avx2,+avx512f", "512 bits"), ("+avx,+avx2", "256 bits"), ("+sse2", "128 bits")],
)
def test_it_names_the_width_of_vectors(features, expected):
    kernels = output_of(
        "import fastnet; fastnet.show_versions()",
        NUMBA_CPU_NAME="generic",
        NUMBA_CPU_FEATURES=features,
    )["Kernels"]
    assert kernels["vectors"] == expected
    assert kernels["processor"] == "generic"
