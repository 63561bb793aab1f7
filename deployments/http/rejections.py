"""Tells the store how many requests were refused for what they hold, for watching.

What was refused is in no journal: it has no prediction. So each router replica counts, and adds a row every
few seconds if there was anything.
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
_REFUSED = frozenset({400, 409, 413, 422})
_CALLS = frozenset({"predict", "batch_predict"})


class RejectionSink(Protocol):
    """Where counts go; `WatchStore` is one."""

    def add_rejections(self, workload: str, requests: int) -> None:
        """So many more until now."""
        ...


class RejectionRecorder:
    """Those of one router replica.

    Args:
        counts: of all its requests.
        workload: whose they are.
        sink: takes the counts; called in a thread.
    """

    def __init__(self, counts: RequestCounts, workload: str, sink: RejectionSink) -> None:
        self._counts = counts
        self._workload = workload
        self._sink = sink
        self._told = 0

    async def flush(self) -> None:
        """Hand over what was counted; what the store does not take waits."""
        refused = sum(
            count
            for (call, status), count in self._counts.requests.items()
            if call in _CALLS and status in _REFUSED
        )
        if refused == self._told:
            return
        try:
            await asyncio.to_thread(self._sink.add_rejections, self._workload, refused - self._told)
        except Unavailable as error:
            log.warning("refusals wait: %s", error, extra={"workload": self._workload})
        else:
            self._told = refused

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Flush for ever."""
        while True:
            await sleep(FLUSH_PERIOD_S)
            await self.flush()
