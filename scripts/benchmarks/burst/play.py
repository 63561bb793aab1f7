"""Sends the bursts, and looks at the replicas meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

from scripts.benchmarks.bench.system import Dashboard, count_replicas
from scripts.benchmarks.bench.wrk import Target
from scripts.benchmarks.burst.phases import BurstPlan
from scripts.benchmarks.burst.timeline import Ended, Seen, Timeline

_POLL_PERIOD_S = 1.0
_TIMEOUT_S = 30.0
# what happens is at most this late; 500 requests a second are 2 ms apart
_TICK_S = 0.002
_CONNECTIONS = 256

# report(seconds since the begin, the newest observation)
Report = Callable[[float, Seen], None]


class Player:
    """A burst test.

    Args:
        plan: when requests are due.
        target: what is asked.
        dashboard: where the replicas are looked up.
        report: called after each poll.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        plan: BurstPlan,
        target: Target,
        dashboard: Dashboard,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._target = target
        self._dashboard = dashboard
        self._report = report
        self._clock = clock
        self._url = f"http://127.0.0.1:{target.port}{target.path}"
        self._begun_s = 0.0
        self.timeline = Timeline()

    async def play(self) -> Timeline:
        """Play the whole test. What fails is part of the result."""
        self._begun_s = self._clock()
        timeout = aiohttp.ClientTimeout(_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        headers = dict(self._target.headers)
        async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
            polling = asyncio.create_task(self._poll_replicas())
            try:
                await self._send(session)
                await asyncio.sleep(max(0.0, self._plan.duration_s - self._now_s()))
            finally:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
        return self.timeline

    def _now_s(self) -> float:
        return self._clock() - self._begun_s

    async def _send(self, session: aiohttp.ClientSession) -> None:
        schedule, lead_s = self._plan.schedule(), self._plan.lead_s
        async with asyncio.TaskGroup() as group:
            while (next_s := schedule.next_due_s()) is not None:
                for number, due_s in schedule.take(self._now_s() - lead_s).requests:
                    group.create_task(self._request(session, number, lead_s + due_s))
                await asyncio.sleep(max(_TICK_S, lead_s + next_s - self._now_s()))

    async def _request(self, session: aiohttp.ClientSession, number: int, due_s: float) -> None:
        body, error = self._target.bodies[number % len(self._target.bodies)], ""
        try:
            async with session.post(self._url, data=body) as answer:
                text = await answer.text()
                if answer.status != 200:
                    error = f"{answer.status} {text[:200]}"
        except (aiohttp.ClientError, TimeoutError) as failure:
            error = f"{type(failure).__name__} {failure}".strip()
        self.timeline.ended.append(Ended(due_s, self._now_s() - due_s, error))

    async def _poll_replicas(self) -> None:
        timeout = aiohttp.ClientTimeout(_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=self._dashboard.headers, timeout=timeout) as session:
            while True:
                try:
                    async with session.get(self._dashboard.applications_url) as answer:
                        replicas = count_replicas(await answer.json())
                except (aiohttp.ClientError, TimeoutError):
                    replicas = {}  # the dashboard is not what is tested: a poll is left out
                if replicas:
                    running = {name: sum(one.runs for one in those) for name, those in replicas.items()}
                    self.timeline.seen.append(Seen(self._now_s(), running))
                    self._report(self._now_s(), self.timeline.seen[-1])
                await asyncio.sleep(_POLL_PERIOD_S)
