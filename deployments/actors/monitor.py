"""The Monitor: one process for many workloads. Follows the journal, and tells when something drifts.

It reads the store and writes to it, and nobody waits for it: while it is away, predictions and truths go on,
and when it is back it reads what it has missed.
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
from training.runtime.settings import Settings

log = logging.getLogger(__name__)

ROUND_PERIOD_S = 1.0
FAULT_PERIOD_S = 10.0
# Reading up after a restart, and reports, shall not slow what answers.
_NICENESS = 10


class Monitor:
    """Watches `workloads`, each in a thread of its own; one that is broken holds up no other."""

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        configure_log_file(settings.logs, "monitor")
        os.nice(_NICENESS)
        store = Store(settings.store_url)
        store.create_tables()
        rounds = [_rounds(name, settings, store) for name in workloads]
        self._watches = [asyncio.create_task(_watch(one)) for one in rounds]

    def check_health(self) -> None:
        """Serve restarts the Monitor when one of its watches has ended."""
        for watch in self._watches:
            if watch.done():
                raise RuntimeError(f"a watch ended: {watch.exception()!r}")


def _rounds(workload: str, settings: Settings, store: Store) -> MonitorLoop:
    now = partial(datetime.now, UTC)
    cache, registry_uri = settings.bundle_cache, settings.registry_uri
    return MonitorLoop(workload, settings.workloads, store, cache, now, registry_uri)


async def _watch(rounds: MonitorLoop) -> None:
    labels = {"workload": rounds.workload}
    while True:
        try:
            await asyncio.to_thread(rounds.poll)
        except Unavailable as error:
            log.warning("not watched now: %s", error, extra=labels)
        except Exception:
            # a bundle that cannot be read, or a fault of ours: the journal waits, the next round tries again
            log.exception("not watched now", extra=labels)
            await asyncio.sleep(FAULT_PERIOD_S)
        await asyncio.sleep(ROUND_PERIOD_S)
