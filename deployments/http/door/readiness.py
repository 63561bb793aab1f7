"""Readiness without a key: whether predictions are answered, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.domain.paths import route_name

READY_PATH = "/-/ready"
# some workload answers: for a probe that would take a node away from all of them
ANY_READY_PATH = "/-/ready/any"

IsReady = Callable[[], Awaitable[bool]]
_KEPT_S = 1.0


class Routers(Protocol):
    """The router replicas of a workload."""

    async def call(self, method: str) -> list[Any]:
        """Call a method of each replica, and return the answers of those that answer in time."""
        ...


class SystemReadiness:
    """The readiness of all workloads, asked of the routers at most once a second, whoever asks.

    Args:
        routers: by workload.
        clock: monotonic seconds.
    """

    def __init__(self, routers: Mapping[str, Routers], clock: Callable[[], float] = time.monotonic) -> None:
        self._routers = routers
        self._clock = clock
        self._task: asyncio.Task[list[bool]] | None = None
        self._asked_s = 0.0

    async def of_all(self) -> bool:
        """Return whether every workload answers."""
        return all(await self._answers())

    async def of_any(self) -> bool:
        """Return whether some workload answers."""
        return any(await self._answers())

    async def _answers(self) -> list[bool]:
        if self._task is None or (self._task.done() and self._clock() - self._asked_s >= _KEPT_S):
            self._asked_s = self._clock()
            self._task = asyncio.create_task(self._ask())
        return await asyncio.shield(self._task)

    async def _ask(self) -> list[bool]:
        found = await asyncio.gather(*(routers.call("ready_here") for routers in self._routers.values()))
        return [any(replicas) for replicas in found]


class Readiness:
    """ASGI middleware that answers the paths of readiness, and passes on all other requests.

    Args:
        app: gets them.
        answers: by path, whether it is ready.
    """

    def __init__(self, app: ASGIApp, answers: Mapping[str, IsReady]) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 200 or 503 at those paths."""
        # `in` first: a request for a prediction pays for no more
        if scope["type"] != "http" or "/-/" not in scope["path"]:
            await self._app(scope, receive, send)
            return
        is_ready = self._answers.get(route_name(scope))
        if is_ready is None or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        response = ready_response(await is_ready())
        await response(scope, receive, send)


def ready_response(ready: bool) -> Response:
    """Return the answer of a path of readiness; HAProxy's own is the same (scripts/haproxy/ready.awk)."""
    if ready:
        return Response(orjson.dumps({"status": "ready"}), 200, media_type="application/json")
    headers = {"Retry-After": "1"}
    return Response(orjson.dumps({"status": "not ready"}), 503, headers, "application/json")
