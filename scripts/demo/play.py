"""Plays the heat wave against a running system, and watches what it does about it, over HTTP alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from features.contract import Contract
from scripts.demo.console import DemoConsole
from scripts.demo.error_course import ErrorCourse, EvaluatedPrediction
from scripts.demo.observations import Seen
from scripts.demo.plan import HealPlan
from scripts.demo.timeline import Timeline
from scripts.replay.aiohttp_transport import StreamTransport
from scripts.replay.client import ApiError, Connection, Prediction, WorkloadClient
from scripts.replay.recordings import Case
from scripts.replay.stream_player import Streamed, StreamPlayer
from scripts.replay.stream_schedule import Schedule, Steady

_PERIOD_S = 0.5
_MOST_OPEN = 64


@dataclass(frozen=True)
class Stage:
    """What is played.

    Attributes:
        plan: how fast.
        cases: in the order of time.
        wave_s: when the wave begins, seconds since the first request.
        wave: the wave, in words.
        at_most_s: how long it may take.
        goes_on: called before each look; False ends it, and so does what it raises.
        waits: whether it is to go on, `at_most_s` at most, although all is well again.
    """

    contract: Contract
    plan: HealPlan
    cases: list[Case]
    wave_s: float
    wave: str
    at_most_s: float
    goes_on: Callable[[], bool]
    waits: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Played:
    """What came of it; `waits_for` is what a retraining waits for at the end, if one does."""

    story: Timeline
    course: ErrorCourse
    streamed: Streamed
    waits_for: str


async def play(connection: Connection, stage: Stage, telling: DemoConsole) -> Played:
    """Until all is well again, or it has taken too long. Raises what `goes_on` raises."""
    plan = stage.plan
    schedule = Schedule(Steady(plan.rate_per_s), plan.truth_delay_s, len(stage.cases))
    async with connection.open(transport=StreamTransport(_MOST_OPEN)) as http:
        client = WorkloadClient(http, stage.contract.workload, stage.contract.target)
        player = StreamPlayer(stage.contract, client, schedule, most_open=_MOST_OPEN)
        watcher = _Watcher(client, stage, player.streamed)
        playing = asyncio.create_task(player.play(stage.cases))
        try:
            while stage.goes_on() and await watcher.look(telling):
                await asyncio.sleep(_PERIOD_S)
        finally:
            schedule.stop()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    return Played(watcher.story, watcher.course, player.streamed, watcher.waits_for)


class _Watcher:
    """Looks at the system; what it cannot see at one look it sees at a later one.

    The first request is sent when it is made.
    """

    def __init__(self, client: WorkloadClient, stage: Stage, streamed: Streamed) -> None:
        self._client = client
        self._stage = stage
        self._streamed = streamed
        self._begun_at, self._begun_s = datetime.now(UTC), time.monotonic()
        self._taken = 0
        self._seen = Seen(0.0)
        self.course = ErrorCourse(stage.plan.rule.truths)
        self.story = Timeline(
            stage.plan.rule,
            stage.wave_s,
            stage.wave,
            lambda at: (at - self._begun_at).total_seconds(),
            stage.contract.target.unit,
        )

    @property
    def waits_for(self) -> str:
        newest = next(iter(self._seen.retrainings), None)
        return f"A retraining waits for {newest.waits_for}." if newest and newest.waits_for else ""

    async def look(self, telling: DemoConsole) -> bool:
        """Tell of what is new; whether it is to go on."""
        now_s = time.monotonic() - self._begun_s
        self._take_truths(now_s)
        await self._ask(now_s)
        for event in self.story.look(self._seen, self.course):
            telling.event(event)
        telling.state(now_s, len(self._streamed.sent), self.course.now, self.story.unit)
        healed_s = self.story.healed_s
        if healed_s is not None and not self._stage.waits():
            return bool(self.story.drifting) and now_s < healed_s + self._stage.plan.linger_s
        return now_s < self._stage.at_most_s

    async def _ask(self, now_s: float) -> None:
        self._seen = replace(self._seen, at_s=now_s)
        try:
            self._seen = replace(self._seen, retrainings=await self._client.retrainings())
            self._seen = replace(self._seen, promotions=await self._client.promotions())
            self._seen = replace(self._seen, monitor=await self._client.monitor())
        except ApiError:
            pass  # busy, or the Monitor has not looked yet

    def _take_truths(self, now_s: float) -> None:
        sent = self._streamed.sent
        while self._taken < len(sent):
            one = sent[self._taken]
            known_s = max(one.ended_s, one.due_s + self._stage.plan.truth_delay_s)
            if known_s > now_s:
                return
            self._taken += 1
            if isinstance(one.outcome, Prediction):
                said = one.outcome
                (value,) = said.row.prediction.values()
                error = float(value) - float(one.case.target)
                self.course.add(EvaluatedPrediction(known_s, said.arm, said.model_version, error))
