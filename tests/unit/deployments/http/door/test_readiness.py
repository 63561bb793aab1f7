"""The paths of readiness, of a workload and of the system."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from deployments.http.auth import KeyGuard
from deployments.http.door.readiness import ANY_READY_PATH, READY_PATH, Readiness, SystemReadiness


class Routers:
    """Replicas of a workload that say whether they are ready."""

    def __init__(self, *ready: bool) -> None:
        self.ready = list(ready)
        self.calls = 0

    async def call(self, method: str) -> list[Any]:
        assert method == "ready_here"
        self.calls += 1
        return self.ready


async def ask(app: ASGIApp, path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


@pytest.mark.parametrize(
    ("routers", "of_all", "of_any"),
    [
        ([Routers(True), Routers(False, True)], 200, 200),
        ([Routers(True), Routers(False, False)], 503, 200),
        ([Routers(True), Routers()], 503, 200),
        ([Routers(), Routers(False)], 503, 503),
    ],
)
async def test_a_workload_is_ready_when_a_replica_of_it_is(
    routers: list[Routers], of_all: int, of_any: int
) -> None:
    readiness = SystemReadiness({str(number): one for number, one in enumerate(routers)})
    answers = {READY_PATH: readiness.of_all, ANY_READY_PATH: readiness.of_any}
    app = Readiness(KeyGuard(Starlette(), "key"), answers)
    assert (await ask(app, READY_PATH)).status_code == of_all
    answer = await ask(app, ANY_READY_PATH)
    assert answer.status_code == of_any
    assert answer.json() == {"status": "ready" if of_any == 200 else "not ready"}
    assert (answer.headers.get("retry-after") is None) is (of_any == 200)
    for path in ("/-/readyx", "/-/other", "/info"):
        assert (await ask(app, path)).status_code == 401
    assert (await ask(app, READY_PATH, "POST")).status_code == 401


async def test_the_replicas_are_asked_once_a_second_whoever_asks() -> None:
    now_s = 0.0
    routers = Routers(True)
    readiness = SystemReadiness({"apogee": routers}, lambda: now_s)
    assert all(await asyncio.gather(*(readiness.of_all() for _ in range(50))))
    now_s = 0.9
    routers.ready = [False]
    assert await readiness.of_any()
    assert routers.calls == 1
    now_s = 1.0
    assert not await readiness.of_any()
    assert routers.calls == 2
