"""Plays the heat wave against a running system, and watches what it does about it, over HTTP alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from features.contract import Contract
from scripts.client import ApiError, Connection, Prediction, WorkloadClient
from scripts.demo.error_course import ErrorCourse, Judged
from scripts.demo.facts import Seen
from scripts.demo.plan import HealPlan
from scripts.demo.story import Story
from scripts.demo.telling import Telling
from scripts.lean_transport import LeanTransport
from scripts.recordings import Case
from scripts.stream_player import Streamed, StreamPlayer
from scripts.stream_schedule import Schedule, Steady

_PERIOD_S = 0.5
_MOST_OPEN = 64


@dataclass(frozen=True)
class Stage:
    """What is played.

    Attributes:
        plan: how fast.
        cases: in the order of time.
        calm: how many of them are from before the wave.
        wave: the wave, in words.
        at_most_s: how long it may take.
        goes_on: called before each look; False ends it, and so does what it raises.
    """

    contract: Contract
    plan: HealPlan
    cases: list[Case]
    calm: int
    wave: str
    at_most_s: float
    goes_on: Callable[[], bool]


@dataclass(frozen=True)
class Played:
    """What came of it."""

    story: Story
    course: ErrorCourse
    streamed: Streamed


async def play(connection: Connection, stage: Stage, telling: Telling) -> Played:
    """Until it has healed, or has taken too long. Raises what `goes_on` raises."""
    plan, unit = stage.plan, stage.contract.target.unit
    schedule = Schedule(Steady(plan.rate_per_s), plan.truth_delay_s, len(stage.cases))
    async with connection.open(transport=LeanTransport(_MOST_OPEN)) as http:
        client = WorkloadClient(http, stage.contract.workload, stage.contract.target)
        player = StreamPlayer(stage.contract, client, schedule, most_open=_MOST_OPEN)
        begun_at, begun_s = datetime.now(UTC), time.monotonic()
        story = Story(
            plan.rule,
            stage.calm / plan.rate_per_s,
            stage.wave,
            lambda at: (at - begun_at).total_seconds(),
            unit,
        )
        watcher = _Watcher(client, ErrorCourse(plan.rule.truths), player.streamed, plan.truth_delay_s)
        playing = asyncio.create_task(player.play(stage.cases))
        try:
            while stage.goes_on():
                now_s = time.monotonic() - begun_s
                seen = await watcher.look(now_s)
                for event in story.look(seen, watcher.course):
                    telling.event(event)
                telling.state(now_s, len(player.streamed.sent), watcher.course.now, unit)
                healed_s = story.healed_s
                if now_s > stage.at_most_s or (healed_s is not None and now_s > healed_s + plan.linger_s):
                    break
                await asyncio.sleep(_PERIOD_S)
        finally:
            schedule.stop()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    return Played(story, watcher.course, player.streamed)


class _Watcher:
    """Looks at the system; what it cannot see at one look it sees at a later one."""

    def __init__(
        self, client: WorkloadClient, course: ErrorCourse, streamed: Streamed, truth_delay_s: float
    ) -> None:
        self.course = course
        self._client = client
        self._streamed = streamed
        self._truth_delay_s = truth_delay_s
        self._taken = 0
        self._seen = Seen(0.0)

    async def look(self, now_s: float) -> Seen:
        self._take_truths(now_s)
        self._seen = replace(self._seen, at_s=now_s)
        try:
            self._seen = replace(self._seen, retrainings=await self._client.retrainings())
            self._seen = replace(self._seen, promotions=await self._client.promotions())
            self._seen = replace(self._seen, monitor=await self._client.monitor())
        except ApiError:
            pass  # busy, or the Monitor has not looked yet
        return self._seen

    def _take_truths(self, now_s: float) -> None:
        sent = self._streamed.sent
        while self._taken < len(sent):
            one = sent[self._taken]
            known_s = max(one.ended_s, one.due_s + self._truth_delay_s)
            if known_s > now_s:
                return
            self._taken += 1
            if isinstance(one.outcome, Prediction):
                said = one.outcome
                (value,) = said.row.prediction.values()
                error = float(value) - float(one.case.target)
                self.course.add(Judged(known_s, said.arm, said.model_version, error))
