"""Wrong keys are slowed down by the address that they come from; right ones are not."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from deployments.http.auth import KeyGuard
from deployments.http.door.failed_keys import FailedKeys, FailureLimits

LIMITS = FailureLimits(failures=3, window_s=10, pause_s=2, most_waiting=2, most_addresses=5)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_more_failures_than_allowed_wait(clock: Clock) -> None:
    failed = FailedKeys(LIMITS, clock, clock.sleep)
    assert [await failed.add("a") for _ in range(5)] == [False] * 3 + [True] * 2
    assert clock.slept_s == [2, 2]
    assert await failed.add("b") is False
    clock.now_s = 10
    assert await failed.add("a") is False


async def test_no_more_wait_than_allowed_and_no_more_addresses_are_counted() -> None:
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()

    failed = FailedKeys(LIMITS, lambda: 0.0, sleep)
    tasks = [asyncio.create_task(failed.add("a")) for _ in range(10)]
    await asyncio.sleep(0)
    assert sum(not task.done() for task in tasks) == 2
    gate.set()
    assert sum(await asyncio.gather(*tasks)) == 7
    for number in range(50):
        await failed.add(str(number))
    assert len(failed._counts) <= 5  # noqa: SLF001


async def test_the_guard_answers_429_and_lets_the_key_in_all_the_while(clock: Clock) -> None:
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("in"))])
    guard = KeyGuard(app, "right", failed=FailedKeys(LIMITS, clock, clock.sleep))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://test") as client:
        wrong = [await client.get("/", headers={"Authorization": "Bearer wrong"}) for _ in range(3)]
        wrong += [await client.get("/?key=wrong"), await client.get("/")]
        assert [one.status_code for one in wrong] == [401, 401, 401, 429, 429]
        assert wrong[-1].headers["retry-after"] == "10"
        assert wrong[-1].json()["type"] == "urn:problem-type:raysonde:too-many-requests"
        assert (await client.get("/", headers={"Authorization": "Bearer right"})).text == "in"
    assert clock.slept_s == [2, 2]
