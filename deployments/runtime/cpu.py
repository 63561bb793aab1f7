"""How much of the processors that this process may use nobody uses, for the autoscaling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_US = 1e6


class Used(NamedTuple):
    """Of the processors, at a time.

    Attributes:
        processors: that there are; a share of one counts as that.
        used_s: seconds that they have worked, of all together.
    """

    processors: float
    used_s: float


class IdleCpuMeter:
    """The mean over the time between two questions.

    Args:
        clock: monotonic seconds.
        read: what has been used so far.
    """

    def __init__(self, clock: Callable[[], float], read: Callable[[], Used]) -> None:
        self._clock = clock
        self._read = read
        self._asked_s = clock()
        self._used_s = read().used_s

    def mean(self) -> float:
        """Processors without work since this was last asked; 0 to all."""
        now_s, used = self._clock(), self._read()
        passed_s, worked_s = now_s - self._asked_s, used.used_s - self._used_s
        self._asked_s, self._used_s = now_s, used.used_s
        if passed_s <= 0:
            return used.processors
        return min(max(used.processors - worked_s / passed_s, 0.0), used.processors)


def used_processors(cgroup: Path = _CGROUP) -> Used:
    """Of the container where it has a limit, as cgroups of version 2 tell; of the machine otherwise."""
    try:
        quota_us, period_us = (cgroup / "cpu.max").read_text().split()
        if quota_us != "max":
            used = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
            return Used(int(quota_us) / int(period_us), int(used["usage_usec"]) / _US)
    except OSError:  # no cgroups, or the root of them, which has no limit
        pass
    times = psutil.cpu_times()
    # guests are in `user` already
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    guest_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return Used(psutil.cpu_count() or 1, sum(times) - guest_s - idle_s)
