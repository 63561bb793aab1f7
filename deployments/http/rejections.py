"""The counts of requests that were rejected for their content, on their way to the monitoring.

Rejected requests are in no journal: they have no prediction. So each router replica counts them, and adds a
row every few seconds if there are any.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from deployments.domain.errors import Unavailable
from deployments.http.request_metrics import RequestCounts

log = logging.getLogger(__name__)

FLUSH_PERIOD_S = 2.0
# not JSON, another schema version, too large, a field that is wrong
_REJECTED_STATUSES = frozenset({400, 409, 413, 415, 422})
_CALLS = frozenset({"predict", "batch_predict"})


class RejectionSink(Protocol):
    """A sink of counts; `MonitorFeed` is one."""

    def add_rejections(self, workload: str, requests: int) -> None:
        """Add the number of rejected requests since the last call."""
        ...


class RejectionRecorder:
    """A recorder of the rejected requests of one router replica.

    Args:
        counts: of all its requests.
        workload: of the replica.
        sink: stores the counts; called in a thread.
    """

    def __init__(self, counts: RequestCounts, workload: str, sink: RejectionSink) -> None:
        self._counts = counts
        self._workload = workload
        self._sink = sink
        self._reported = 0

    async def flush(self) -> None:
        """Store the new counts; those that the store does not accept wait."""
        # a probe that is rejected tells nothing of the data
        rejected = sum(
            count - self._counts.probes[call, status]
            for (call, status), count in self._counts.requests.items()
            if call in _CALLS and status in _REJECTED_STATUSES
        )
        if rejected == self._reported:
            return
        try:
            await asyncio.to_thread(self._sink.add_rejections, self._workload, rejected - self._reported)
        except Unavailable as error:
            log.warning("the counts of rejected requests wait: %s", error, extra={"workload": self._workload})
        else:
            self._reported = rejected

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Flush for ever."""
        while True:
            await sleep(FLUSH_PERIOD_S)
            await self.flush()
