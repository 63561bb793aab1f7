"""Plays recordings against a running system: each case to every arm, the truth when a recording is over."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ulid_transform import ulid_now

from features.contract import Contract
from scripts.replay.client import ApiError, ApiRefused, FeedbackCounts, Prediction, WorkloadClient
from scripts.replay.recordings import Case, Recording, iter_steps
from scripts.replay.request_bodies import instance_body

# A recording played as fast as possible may ask more than a small machine answers in time.
_PAUSES = 3


@dataclass(frozen=True)
class Answer:
    """An arm's answer to a case; `latency_s` is from sending to the whole answer."""

    case: Case
    arm: str
    prediction: Prediction
    latency_s: float


@dataclass(frozen=True)
class Failure:
    """A case without an answer.

    Attributes:
        arm: the one that was asked; empty where the system was to choose.
        status: None where nothing answered at all.
    """

    case: Case
    arm: str
    status: int | None
    reason: str

    @classmethod
    def of(cls, case: Case, arm: str, error: ApiError) -> Failure:
        """Make a failure of what the client raised."""
        if isinstance(error, ApiRefused):
            return cls(case, arm, error.status, error.detail)
        return cls(case, arm, None, str(error))

    @property
    def refused(self) -> bool:
        """Return whether the system says that the case is at fault, rather than itself."""
        return self.status is not None and 400 <= self.status < 500


@dataclass
class Played:
    """The result of a replay.

    Attributes:
        resent: requests that were sent again because the system was busy.
        truth_failures: why truths of a recording were not taken.
    """

    arms: tuple[str, ...]
    resent: int = 0
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    feedback: FeedbackCounts = field(default_factory=FeedbackCounts)
    truth_failures: list[str] = field(default_factory=list)


class Player:
    """Plays recordings: windows all at once, each recording from its own first row; a table row by row.

    Args:
        contract: of the workload.
        client: of the running system.
        arms: those to ask about each case.
        speed: seconds of the recording in a second; infinity: as fast as answers come.
        limit: most cases, of all recordings together; None: all of them.
        concurrency: most requests at a time.
        on_progress: called with how many rows more have been played.
        sleep: waits, in seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        contract: Contract,
        client: WorkloadClient,
        arms: Sequence[str],
        *,
        speed: float = math.inf,
        limit: int | None = None,
        concurrency: int = 8,
        on_progress: Callable[[int], None] = lambda count: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = contract
        self._client = client
        self._speed = speed
        self._cases_left = math.inf if limit is None else limit
        self._on_progress = on_progress
        self._sleep = sleep
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self.played = Played(tuple(arms))

    async def play(self, recordings: Sequence[Recording]) -> Played:
        """Play them all and send their truths. What fails is part of the result."""
        table = self._contract.window is None
        parts = [recordings] if table else [[recording] for recording in recordings]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._play_part(part))
        return self.played

    async def _play_part(self, recordings: Sequence[Recording]) -> None:
        """Send cases one after the other, then the truths of all of them at once."""
        async with asyncio.TaskGroup() as asking:
            for recording in recordings:
                begun_s, first_s = self._clock(), float(recording.times[0])
                for at_s, case in iter_steps(self._contract, recording):
                    await self._wait_for(begun_s, at_s - first_s)
                    if case is not None:
                        await self._ask_all(asking, case)
                    self._on_progress(1)
        await self._send_truths(recordings)

    async def _send_truths(self, recordings: Sequence[Recording]) -> None:
        members = set(recordings)
        truths = {
            answer.prediction.id: answer.case.target
            for answer in self.played.answers
            if answer.case.recording in members and answer.case.known
        }
        try:
            counts = await self._client.feedback(truths)
        except ApiError as error:
            title = recordings[0].title if len(recordings) == 1 else f"{len(recordings)} rows"
            self.played.truth_failures.append(f"{title}: {error}")
        else:
            self.played.feedback += counts

    async def _wait_for(self, begun_s: float, after_s: float) -> None:
        if math.isinf(self._speed):
            return
        wait_s = begun_s + after_s / self._speed - self._clock()
        if wait_s > 0:
            await self._sleep(wait_s)

    async def _ask_all(self, asking: asyncio.TaskGroup, case: Case) -> None:
        if self._cases_left == 0:
            return
        self._cases_left -= 1
        for arm in self.played.arms:
            await self._slots.acquire()
            asking.create_task(self._ask(case, arm))

    async def _ask(self, case: Case, arm: str) -> None:
        try:
            self.played.answers.append(await self._answer(case, arm))
        except ApiError as error:
            self.played.failures.append(Failure.of(case, arm, error))
        finally:
            self._slots.release()

    async def _answer(self, case: Case, arm: str) -> Answer:
        """Ask, and again after the pause that a busy system asks for; the latency is that of the answer."""
        instance = instance_body(self._contract, ulid_now(), case)
        pauses_left = _PAUSES
        while True:
            begun_s = self._clock()
            try:
                prediction = await self._client.predict(instance, arm)
                return Answer(case, arm, prediction, self._clock() - begun_s)
            except ApiRefused as refused:
                if refused.retry_after_s is None or not pauses_left:
                    raise
                pauses_left -= 1
                self.played.resent += 1
                await self._sleep(refused.retry_after_s)
