"""Linux's autogroups: an equal share of the cores for each session, which distorts two nodes on one machine.

A node is a session here. Where sessions have shares, a process of low priority on one node takes as much of a
core as all that answers requests on the other. See `man 7 sched`, "The autogroup feature".
"""

from __future__ import annotations

from pathlib import Path

NAME = "kernel.sched_autogroup_enabled"
ADVICE = (
    f"{NAME} is on: each node has an equal share of the cores, whatever runs on it, so two nodes will look "
    f"worse than they are. `sudo sysctl {NAME}=0` turns it off until the next start of the machine."
)
_FILE = Path("/proc/sys/kernel/sched_autogroup_enabled")


def are_on(file: Path = _FILE) -> bool:
    """Return whether autogroups are on; False where the kernel has none."""
    try:
        return file.read_text().strip() == "1"
    except OSError:
        return False
