"""Counts the requests that are refused for what they hold, and puts the counts into the store for watching.

What was refused is in no journal: it has no prediction. So each router replica counts, and adds a row every
few seconds if there was anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import Unavailable

log = logging.getLogger(__name__)

FLUSH_PERIOD_S = 2.0
# not JSON, another schema version, too large, a field that is wrong
_REFUSED = frozenset({400, 409, 413, 422})
_ROUTES = ("/predict", "/batch_predict")


class RefusalSink(Protocol):
    """Where counts go; `WatchStore` is one."""

    def add_refusals(self, workload: str, requests: int) -> None:
        """So many more until now."""
        ...


class Refusals:
    """ASGI middleware around the routes of one workload.

    Args:
        app: answers.
        workload: its name.
        sink: takes the counts; called in a thread.
    """

    def __init__(self, app: ASGIApp, workload: str, sink: RefusalSink) -> None:
        self._app = app
        self._workload = workload
        self._sink = sink
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and look at the status of its answer."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(_ROUTES):
            await self._app(scope, receive, send)
            return

        async def looked_at(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                self._waiting += 1
            await send(message)

        await self._app(scope, receive, looked_at)

    async def flush(self) -> None:
        """Hand over what was counted; what the store does not take waits."""
        requests, self._waiting = self._waiting, 0
        if not requests:
            return
        try:
            await asyncio.to_thread(self._sink.add_refusals, self._workload, requests)
        except Unavailable as error:
            self._waiting += requests
            log.warning("refusals wait: %s", error, extra={"workload": self._workload})

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Flush for ever."""
        while True:
            await sleep(FLUSH_PERIOD_S)
            await self.flush()
