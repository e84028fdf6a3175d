"""The processor time that control groups leave this process, as a number of cores."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def quota_cores() -> int | None:
    """Return how many cores' time this process may use, rounded up; None if nothing says.

    The quota is the least of that of its own group and of those above. joblib knows that of
    the topmost alone: the container's, where it is in one, but not what systemd's CPUQuota
    gives to a service.
    """
    least = min(map(_quota, _folders()), default=math.inf)
    return None if least == math.inf else max(1, math.ceil(least))


def _folders() -> Iterator[Path]:
    """Yield the folders of this process's groups, from its own to the topmost."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = _OWN_GROUPS.read_text().splitlines()
    for line in lines:
        # Version 2 has one line, without the names of controllers.
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _GROUPS / "cpu" if controllers else _GROUPS
        own = PurePosixPath(path).relative_to("/")
        # A group outside of what this process can see has a path that begins so.
        if ".." not in own.parts:
            yield from (top / group for group in (own, *own.parents))


def _quota(folder: Path) -> float:
    """Return the quota of a group, infinite if it has none."""
    # No such file, a controller that is not there, or no number: no quota.
    with contextlib.suppress(OSError, ValueError):
        quota, period = map(int, (folder / "cpu.max").read_text().split())
        return quota / period
    with contextlib.suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        if quota > 0:
            return quota / int((folder / "cpu.cfs_period_us").read_text())
    return math.inf
