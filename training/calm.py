"""Being a good neighbour of a system that answers requests."""

from __future__ import annotations

import os

_LOWEST_PRIORITY = 19


def be_calm() -> None:
    """Leave the processor to everybody else who wants it; for processes of a job, as Ray's setup hook."""
    os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_PRIORITY)
