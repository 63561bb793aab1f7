"""Plays recordings against a running system: each window to every arm, the truth when a recording is over."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from ulid import ULID

from features.contract import Contract
from features.windows import Windower
from scripts.client import ApiError, FeedbackCounts, Prediction, Refused, WorkloadClient
from scripts.recordings import Recording

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What one arm said about one window.

    Attributes:
        end_s: time of the window's last sample.
        latency_s: from sending to the whole answer.
    """

    recording: Recording
    arm: str
    end_s: float
    prediction: Prediction
    latency_s: float


@dataclass(frozen=True)
class Failure:
    """A window without an answer; `status` is None where nothing answered at all."""

    recording: Recording
    arm: str
    end_s: float
    status: int | None
    reason: str

    @property
    def refused(self) -> bool:
        """Whether the system says that the window is at fault, rather than itself."""
        return self.status is not None and 400 <= self.status < 500


@dataclass
class Played:
    """All that came of a replay; `truth_failures` says why truths of a recording were not taken."""

    arms: tuple[str, ...]
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    feedback: FeedbackCounts = field(default_factory=FeedbackCounts)
    truth_failures: list[str] = field(default_factory=list)


class Player:
    """Plays recordings, all at once, each from its own first sample.

    Args:
        contract: of the workload; windowed.
        client: of the running system.
        arms: those to ask about each window.
        speed: seconds of the recording in a second; infinity: as fast as answers come.
        concurrency: most requests at a time.
        on_progress: told how many samples more have been played.
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
        concurrency: int = 8,
        on_progress: Callable[[int], None] = lambda count: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = contract
        self._client = client
        self._speed = speed
        self._on_progress = on_progress
        self._sleep = sleep
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self.played = Played(tuple(arms))

    async def play(self, recordings: Sequence[Recording]) -> Played:
        """Play them all and send their truths. What fails is part of the result."""
        async with asyncio.TaskGroup() as group:
            for recording in recordings:
                group.create_task(self._play_one(recording))
        return self.played

    async def _play_one(self, recording: Recording) -> None:
        windower = Windower(self._contract)
        begun_s = self._clock()
        time_column = self._contract.field_names.index(self._time_name)
        first_s = at_s = float(recording.rows[0, time_column])
        async with asyncio.TaskGroup() as asking:
            for row in recording.rows:
                at_s = float(row[time_column])
                await self._wait_for(begun_s, at_s - first_s)
                window = windower.push(row.tolist())
                if window is not None:
                    await self._ask_all(asking, recording, window.end_s, windower.samples())
                self._on_progress(1)
            if windower.counts.windows == 0:
                # too sparse for a single window: the system says in its words what it misses
                await self._ask_all(asking, recording, at_s, recording.rows[-self._most_samples :])
        await self._send_truth(recording)

    async def _send_truth(self, recording: Recording) -> None:
        truths = {a.prediction.id: recording.truth for a in self.played.answers if a.recording is recording}
        try:
            counts = await self._client.feedback(truths)
        except ApiError as error:
            self.played.truth_failures.append(f"{recording.title}: {error}")
        else:
            self.played.feedback += counts

    @property
    def _time_name(self) -> str:
        assert self._contract.window is not None, "only windows can be played"
        return self._contract.window.time

    @property
    def _most_samples(self) -> int:
        assert self._contract.window is not None, "only windows can be played"
        return self._contract.window.max_samples

    async def _wait_for(self, begun_s: float, after_s: float) -> None:
        if math.isinf(self._speed):
            return
        wait_s = begun_s + after_s / self._speed - self._clock()
        if wait_s > 0:
            await self._sleep(wait_s)

    async def _ask_all(
        self, asking: asyncio.TaskGroup, recording: Recording, end_s: float, samples: FloatArray
    ) -> None:
        for arm in self.played.arms:
            instance = instance_of(self._contract, str(ULID()), recording.entity, samples)
            await self._slots.acquire()
            asking.create_task(self._ask(recording, end_s, arm, instance))

    async def _ask(self, recording: Recording, end_s: float, arm: str, instance: bytes) -> None:
        begun_s = self._clock()
        try:
            prediction = await self._client.predict(instance, arm)
        except ApiError as error:
            status = error.status if isinstance(error, Refused) else None
            reason = error.detail if isinstance(error, Refused) else str(error)
            self.played.failures.append(Failure(recording, arm, end_s, status, reason))
        else:
            answer = Answer(recording, arm, end_s, prediction, self._clock() - begun_s)
            self.played.answers.append(answer)
        finally:
            self._slots.release()


def instance_of(contract: Contract, instance_id: str, entity: str, samples: FloatArray) -> bytes:
    """The JSON of a windowed instance; `samples` is (n, fields) in contract order, NaN is left out."""
    names = contract.field_names
    rows: list[dict[str, Any]] = [
        {name: value for name, value in zip(names, row, strict=True) if math.isfinite(value)}
        for row in samples.tolist()
    ]
    return orjson.dumps(
        {
            "id": instance_id,
            "schema_version": contract.schema_version,
            contract.entity: entity,
            "samples": rows,
        }
    )
