"""The use that a server and all its children make of the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import psutil

from scripts.host import processes

# user and system seconds so far, by process
CpuTimes = Mapping[psutil.Process, float]


class ProcessTree:
    """Every process of a server: those that descend from it, and those that carry its mark.

    A process that was seen once is remembered, for its parent may end before it does.

    Args:
        root: the process that was started.
        run_id: the mark in its environment, see `scripts.host.processes`.
    """

    def __init__(self, root: psutil.Process, run_id: str) -> None:
        self._roots = [root]
        self._run_id = run_id
        self._seen: set[psutil.Process] = {root}

    def adopt(self, root: psutil.Process) -> None:
        """Count another process too, and what descends from it."""
        self._roots.append(root)
        self._seen.add(root)

    def alive(self) -> list[psutil.Process]:
        """Return the processes that run now."""
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                self._seen.update(root.children(recursive=True))
        self._seen.update(processes.of_run(self._run_id, self._roots[0].pid))
        self._seen = {process for process in self._seen if process.is_running()}
        return [process for process in self._seen if processes.is_alive(process)]

    def cpu_times(self) -> CpuTimes:
        """User and system time of each; what ends between two calls is not counted."""
        times = {}
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                spent = process.cpu_times()
                times[process] = float(spent.user + spent.system)
        return times

    def memory_bytes(self) -> int:
        """Sum of the proportional set sizes: a page that several share counts once."""
        total = 0
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total


def cpu_spent_s(before: CpuTimes, after: CpuTimes) -> float:
    """Seconds between two looks; a process that is new in the second has spent all of its time since."""
    return sum(spent - before.get(process, 0.0) for process, spent in after.items())
