"""The quota of control groups, in the folders of both versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.quota import quota
from fastnet._engine import quota as engine_quota
from fastnet._engine.quota import quota_cores

IN_A_GROUP = "from fastnet._engine import dispatch; print(dispatch.available_threads())"


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return what writes this process's groups, and files with their settings."""
    monkeypatch.setattr(engine_quota, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(engine_quota, "_OWN_GROUPS", tmp_path / "own")

    def write(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", "/").replace("_max", ".max")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_where_there_are_no_groups_there_is_no_quota(groups):
    assert quota_cores() is None


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max 100000", "max 100000", None),
        ("200000 100000", "max 100000", 2),
        ("150000 100000", "max 100000", 2),
        ("10000 100000", "max 100000", 1),
        ("400000 100000", "300000 100000", 3),
        ("max 100000", "50000 50000", 1),
        ("not a number", "", None),
    ],
)
def test_of_version_2_the_least_on_the_way_up(groups, own, above, expected):
    groups("0::/a/b\n", a__b__cpu_max=own, a__cpu_max=above)
    assert quota_cores() == expected


def test_the_container_s_own_group_is_the_topmost(groups):
    groups("0::/\n", cpu_max="300000 100000")
    assert quota_cores() == 3


def test_a_group_out_of_sight_has_no_folder(groups):
    groups("0::/../other\n", cpu_max="300000 100000", other__cpu_max="100000 100000")
    assert quota_cores() is None


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [("-1", "-1", None), ("250000", "-1", 3), ("-1", "100000", 1), ("200000", "100000", 1)],
)
def test_of_version_1_the_least_on_the_way_up(tmp_path, groups, own, above, expected):
    groups("3:cpuset:/\n2:cpu,cpuacct:/a\n0::/\n")
    for folder, quota_us in (("cpu/a", own), ("cpu", above)):
        path = tmp_path / "groups" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "cpu.cfs_quota_us").write_text(quota_us)
        (path / "cpu.cfs_period_us").write_text("100000")
    assert quota_cores() == expected


@pytest.mark.processes
def test_in_a_group_with_a_quota_there_is_one_thread():
    try:
        with quota(1) as join:
            run = subprocess.run(
                [sys.executable, "-c", IN_A_GROUP],
                cwd=Path(__file__).parents[2],
                env=os.environ | {"NUMBA_NUM_THREADS": "4"},
                preexec_fn=join,
                capture_output=True,
                text=True,
                timeout=100,
            )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no control group can be made here: {error}")
    assert run.stdout.split() == ["1"], run.stderr
