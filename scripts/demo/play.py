"""The player of the heat wave against a running system, which it observes over HTTP alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from features.contract import Contract
from scripts.demo.console import DemoConsole
from scripts.demo.error_course import ErrorCourse, EvaluatedPrediction
from scripts.demo.observations import Snapshot
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
    """The scenario to be played.

    Attributes:
        plan: how fast.
        cases: in the order of time.
        wave_s: when the wave begins, seconds since the first request.
        wave: the wave, in words.
        at_most_s: how long it may take.
        goes_on: called before each poll; False ends the run, and so does an error.
        waits: returns whether to go on, `at_most_s` at most, although the system has healed.
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
    """The result of a run; `waits_for` names the condition of a retraining that waits at its end."""

    timeline: Timeline
    course: ErrorCourse
    streamed: Streamed
    waits_for: str


async def play(connection: Connection, stage: Stage, console: DemoConsole) -> Played:
    """Play until the system has healed, or time is over. Raises the errors of `goes_on`."""
    plan = stage.plan
    schedule = Schedule(Steady(plan.rate_per_s), plan.truth_delay_s, len(stage.cases))
    async with connection.open(transport=StreamTransport(_MOST_OPEN)) as http:
        client = WorkloadClient(http, stage.contract.workload, stage.contract.target)
        player = StreamPlayer(stage.contract, client, schedule, most_open=_MOST_OPEN)
        observer = _Observer(client, stage, player.streamed)
        playing = asyncio.create_task(player.play(stage.cases))
        try:
            while stage.goes_on() and await observer.poll(console):
                await asyncio.sleep(_PERIOD_S)
        finally:
            schedule.stop()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    return Played(observer.timeline, observer.course, player.streamed, observer.waits_for)


class _Observer:
    """An observer of the system; what is not available at one poll is read at a later one.

    It is made when the first request is sent.
    """

    def __init__(self, client: WorkloadClient, stage: Stage, streamed: Streamed) -> None:
        self._client = client
        self._stage = stage
        self._streamed = streamed
        self._begun_at, self._begun_s = datetime.now(UTC), time.monotonic()
        self._evaluated = 0
        self._snapshot = Snapshot(0.0)
        self.course = ErrorCourse(stage.plan.rule.truths)
        self.timeline = Timeline(
            stage.plan.rule,
            stage.wave_s,
            stage.wave,
            lambda at: (at - self._begun_at).total_seconds(),
            stage.contract.target.unit,
        )

    @property
    def waits_for(self) -> str:
        newest = next(iter(self._snapshot.retrainings), None)
        return f"A retraining waits for {newest.waits_for}." if newest and newest.waits_for else ""

    async def poll(self, console: DemoConsole) -> bool:
        """Print the new events, and return whether to go on."""
        now_s = time.monotonic() - self._begun_s
        self._evaluate(now_s)
        await self._read(now_s)
        for event in self.timeline.update(self._snapshot, self.course):
            console.event(event)
        console.state(now_s, len(self._streamed.sent), self.course.now, self.timeline.unit)
        healed_s = self.timeline.healed_s
        if healed_s is not None and not self._stage.waits():
            return bool(self.timeline.drifting) and now_s < healed_s + self._stage.plan.linger_s
        return now_s < self._stage.at_most_s

    async def _read(self, now_s: float) -> None:
        self._snapshot = replace(self._snapshot, at_s=now_s)
        try:
            self._snapshot = replace(self._snapshot, retrainings=await self._client.retrainings())
            self._snapshot = replace(self._snapshot, promotions=await self._client.promotions())
            self._snapshot = replace(self._snapshot, monitor=await self._client.monitor())
        except ApiError:
            pass  # busy, or there is no page of the Monitor yet

    def _evaluate(self, now_s: float) -> None:
        sent = self._streamed.sent
        while self._evaluated < len(sent):
            one = sent[self._evaluated]
            known_s = max(one.ended_s, one.due_s + self._stage.plan.truth_delay_s)
            if known_s > now_s:
                return
            self._evaluated += 1
            if isinstance(one.outcome, Prediction):
                answer = one.outcome
                (value,) = answer.row.prediction.values()
                error = float(value) - float(one.case.target)
                self.course.add(EvaluatedPrediction(known_s, answer.arm, answer.model_version, error))
