"""The Monitor: one process for many workloads that follows the journal and detects drift.

It reads the store and writes to it, and nobody waits for it: while it is down, predictions and truths go on,
and when it is back it reads the rows that it has missed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from deployments.domain.errors import Unavailable
from deployments.monitoring.poller import MonitorLoop
from deployments.runtime.logs import configure_log_file
from deployments.store import Store
from training.runtime.private_files import make_files_private
from training.runtime.settings import Settings

log = logging.getLogger(__name__)

POLL_PERIOD_S = 1.0
FAULT_PERIOD_S = 10.0
# Catching up after a restart, and reports, shall not slow the answers.
_NICENESS = 10


class Monitor:
    """The actor that monitors `workloads`, each in a task of its own; one that fails delays no other."""

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        make_files_private()
        configure_log_file(settings.logs, "monitor")
        os.nice(_NICENESS)
        store = Store(settings.store_url)
        store.create_tables()
        loops = [_make_loop(name, settings, store) for name in workloads]
        self._tasks = [asyncio.create_task(_poll_for_ever(loop)) for loop in loops]

    def check_health(self) -> None:
        """Raise when the task of a workload has ended, so that Serve restarts the Monitor."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError(f"the monitoring of a workload ended: {task.exception()!r}")


def _make_loop(workload: str, settings: Settings, store: Store) -> MonitorLoop:
    now = partial(datetime.now, UTC)
    cache, registry_uri = settings.bundle_cache, settings.registry_uri
    return MonitorLoop(workload, settings.workloads, store, cache, now, registry_uri)


async def _poll_for_ever(loop: MonitorLoop) -> None:
    labels = {"workload": loop.workload}
    while True:
        try:
            await asyncio.to_thread(loop.poll)
        except Unavailable as error:
            log.warning("monitoring pauses: %s", error, extra=labels)
        except Exception:
            # a bundle that cannot be read, or a fault of ours: the journal waits, the next poll tries again
            log.exception("monitoring pauses", extra=labels)
            await asyncio.sleep(FAULT_PERIOD_S)
        await asyncio.sleep(POLL_PERIOD_S)
