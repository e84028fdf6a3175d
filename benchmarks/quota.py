"""A control group whose processes get so many cores' time and no more, as in a container."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


@contextlib.contextmanager
def quota(n_cores: int) -> Iterator[Callable[[], None]]:
    """Make a group; yield what a new process calls to join it, before it becomes another.

    Raises
    ------
    OSError
        If no group can be made, or it has no processor controller.
    """
    is_v2 = (_CGROUPS / "cgroup.controllers").exists()
    group = (_CGROUPS if is_v2 else _CGROUPS / "cpu") / f"fastnet-benchmark-{os.getpid()}"
    if is_v2 and "cpu" not in (_CGROUPS / "cgroup.subtree_control").read_text().split():
        raise OSError(f"{_CGROUPS} hands the processor controller to no group below")
    group.mkdir()
    try:
        if is_v2:
            (group / "cpu.max").write_text(f"{n_cores * _PERIOD_US} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(n_cores * _PERIOD_US))
        yield lambda: _join(group)
    finally:
        group.rmdir()


def _join(group: Path) -> None:
    # 0 is the process that writes.
    (group / "cgroup.procs").write_text("0")
