"""Plays cases as a stream: each request when it is due, whatever became of those before it; truths later.

Requests do not wait for answers, and a latency counts from when the request was due, so that a system that
falls behind cannot hide it (see Tene, "How not to measure latency", on coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ulid_transform import ulid_now

from features.contract import Contract
from scripts.replay.client import ApiError, FeedbackCounts, FloatArray, Prediction, WorkloadClient
from scripts.replay.player import Failure
from scripts.replay.recordings import Case
from scripts.replay.request_bodies import instance_body
from scripts.replay.stream_schedule import Schedule

# an answer may make a truth due, so that nobody sleeps for longer than this
_TICK_S = 0.05


@dataclass(frozen=True)
class SentRequest:
    """A request of a stream. Times in seconds since the stream began.

    Attributes:
        due_s, sent_s, ended_s: when it was to be sent, was sent, and was answered or failed.
        outcome: what came of it.
    """

    number: int
    case: Case
    due_s: float
    sent_s: float
    ended_s: float
    outcome: Prediction | Failure

    @property
    def latency_s(self) -> float:
        """Return the time from when the request was due to its end."""
        return self.ended_s - self.due_s


@dataclass
class Streamed:
    """The result of a stream.

    Attributes:
        truths_taken: ids of those truths that the system said it has.
        truth_failures: why others were not taken.
    """

    sent: list[SentRequest] = field(default_factory=list)
    feedback: FeedbackCounts = field(default_factory=FeedbackCounts)
    truths_taken: list[str] = field(default_factory=list)
    truth_failures: list[str] = field(default_factory=list)


class StreamPlayer:
    """Plays cases by a schedule, from the first again when all have been played.

    Args:
        contract: of the workload.
        client: of the running system.
        schedule: says what is due when.
        arm: the one to ask; None: the system chooses.
        single_truths: whether each truth is a call of its own, sent without waiting for those before it.
        most_open: requests without an answer at a time; more wait, and their wait counts as latency.
        on_progress: called with how many requests have ended and how many truths wait.
        sleep: waits, in seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        contract: Contract,
        client: WorkloadClient,
        schedule: Schedule,
        *,
        arm: str | None = None,
        single_truths: bool = False,
        most_open: int = 256,
        on_progress: Callable[[int, int], None] = lambda ended, waiting: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = contract
        self._client = client
        self._schedule = schedule
        self._arm = arm
        self._single_truths = single_truths
        self._slots = asyncio.Semaphore(most_open)
        self._on_progress = on_progress
        self._sleep = sleep
        self._clock = clock
        self._begun_s = 0.0
        self._open = 0
        self._due_truths: list[int] = []
        self._answers: dict[int, tuple[str, FloatArray]] = {}
        self.streamed = Streamed()

    async def play(self, cases: Sequence[Case]) -> Streamed:
        """Send until nothing is due any more. What fails is part of the result."""
        self._begun_s = self._clock()
        sending: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as group:
            while True:
                due = self._schedule.take(self._now_s())
                for number, due_s in due.requests:
                    self._open += 1
                    group.create_task(self._ask(number, cases[number % len(cases)], due_s))
                if self._single_truths:
                    for number in due.truths:
                        group.create_task(self._send_truths((number,)))
                else:
                    self._due_truths += due.truths
                if self._due_truths and (sending is None or sending.done()):
                    # one call at a time: what becomes due meanwhile goes in the next, so that each is not
                    # a call of its own hundreds of times a second
                    sending = group.create_task(self._send_truths(tuple(self._due_truths)))
                    self._due_truths.clear()
                next_s = self._schedule.next_due_s()
                if next_s is None and self._open == 0:
                    if sending is None or not self._due_truths:
                        break
                    await sending
                    continue
                self._on_progress(len(self.streamed.sent), self._schedule.waiting_truths)
                wait_s = _TICK_S if next_s is None else next_s - self._now_s()
                await self._sleep(min(max(wait_s, 0.0), _TICK_S))
        self._on_progress(len(self.streamed.sent), self._schedule.waiting_truths)
        return self.streamed

    def _now_s(self) -> float:
        return self._clock() - self._begun_s

    async def _ask(self, number: int, case: Case, due_s: float) -> None:
        async with self._slots:
            sent_s = self._now_s()
            outcome = await self._outcome(case)
        self._open -= 1
        self.streamed.sent.append(SentRequest(number, case, due_s, sent_s, self._now_s(), outcome))
        if isinstance(outcome, Prediction) and case.known:
            self._answers[number] = (outcome.id, case.target)
            self._schedule.answered(number)

    async def _outcome(self, case: Case) -> Prediction | Failure:
        try:
            return await self._client.predict(instance_body(self._contract, ulid_now(), case), self._arm)
        except ApiError as error:
            return Failure.of(case, self._arm or "", error)

    async def _send_truths(self, numbers: Sequence[int]) -> None:
        truths = dict(self._answers.pop(number) for number in numbers)
        try:
            counts = await self._client.feedback(truths)
        except ApiError as error:
            self.streamed.truth_failures.append(f"{len(truths)} truths: {error}")
        else:
            self.streamed.feedback += counts
            self.streamed.truths_taken += truths
