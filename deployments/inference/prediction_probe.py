"""The truth about one router replica: whether it answers predictions now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeTimes:
    """Times of the probe.

    Attributes:
        timeout_s: for an arm's answer.
        kept_s: an answer of the probe stands for this long, whoever asks and however often.
    """

    timeout_s: float = 1.0
    kept_s: float = 1.0


class PredictionProbe:
    """Asks for a prediction, unless requests have been answered since the last time. Not journalled.

    The replica is ready when one arm answers, since requests fall back to it. Belongs to one event loop.

    Args:
        arms: returns the arms in the order in which they are asked; empty while any of them is waited for.
        ask: has an arm predict; true if it does. May take for ever.
        answered: returns a count that grows with each answered request.
        times: see there.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        arms: Callable[[], Sequence[str]],
        ask: Callable[[str], Awaitable[bool]],
        answered: Callable[[], int],
        times: ProbeTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arms = arms
        self._ask = ask
        self._answered = answered
        self._times = times or ProbeTimes()
        self._clock = clock
        self._answered_before = 0
        self._ended_s = float("-inf")
        self._task: asyncio.Task[bool] | None = None

    async def __call__(self) -> bool:
        """Return whether predictions are answered; calls at the same time share one look."""
        task = self._task
        if task is None or (task.done() and self._clock() - self._ended_s >= self._times.kept_s):
            task = self._task = asyncio.create_task(self._look())
        return await asyncio.shield(task)

    async def _look(self) -> bool:
        try:
            arms = self._arms()
            if not arms:
                return False
            answered, before = self._answered(), self._answered_before
            self._answered_before = answered
            if answered > before:
                return True
            first, *others = arms
            return await self._in_time(first) or any(await asyncio.gather(*map(self._in_time, others)))
        finally:
            self._ended_s = self._clock()

    async def _in_time(self, arm: str) -> bool:
        try:
            async with asyncio.timeout(self._times.timeout_s):
                return await self._ask(arm)
        except TimeoutError:
            return False
