"""The idle share of the processors that this process may use, for the autoscaling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_US = 1e6


class CpuUsage(NamedTuple):
    """The use of the processors up to a time.

    Attributes:
        processors: their number; a share of one counts as that.
        used_s: seconds of work, the sum over all processors.
    """

    processors: float
    used_s: float


class IdleCpuMeter:
    """A meter of idle processors: the mean between two calls of `mean`.

    Args:
        clock: monotonic seconds.
        read: reads the use so far.
    """

    def __init__(self, clock: Callable[[], float], read: Callable[[], CpuUsage]) -> None:
        self._clock = clock
        self._read = read
        self._read_at_s = clock()
        self._used_s = read().used_s

    def mean(self) -> float:
        """Return the mean number of idle processors since the previous call; 0 to all."""
        now_s, used = self._clock(), self._read()
        passed_s, worked_s = now_s - self._read_at_s, used.used_s - self._used_s
        self._read_at_s, self._used_s = now_s, used.used_s
        if passed_s <= 0:
            return used.processors
        return min(max(used.processors - worked_s / passed_s, 0.0), used.processors)


def read_cpu_usage(cgroup: Path = _CGROUP) -> CpuUsage:
    """Read the use by the container where cgroups of version 2 limit it, by the machine otherwise."""
    try:
        quota_us, period_us = (cgroup / "cpu.max").read_text().split()
        if quota_us != "max":
            used = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
            return CpuUsage(int(quota_us) / int(period_us), int(used["usage_usec"]) / _US)
    except OSError:  # no cgroups, or the root of them, which has no limit
        pass
    times = psutil.cpu_times()
    # guests are in `user` already
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    guest_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return CpuUsage(psutil.cpu_count() or 1, sum(times) - guest_s - idle_s)
