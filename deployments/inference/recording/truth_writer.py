"""Truths on their way to the store: calls that come while others are written go together, as one transaction.

A call alone is written at once. While a write is under way, and for `rest_s` after it, calls gather; then
they go as one group. So hundreds of calls a second with one truth each cost tens of transactions, and leave
the processor to predictions. Nothing is answered before it is on disk, and every call gets the counts that
it would have got if the calls had been written one after another as they came.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from deployments.domain.errors import Overloaded
from deployments.store import FeedbackCounts, StoreUnavailable, Truth


class TruthSink(Protocol):
    """A sink of truths; a `Store` is one."""

    def write_truth_calls(self, workload: str, calls: Sequence[Sequence[Truth]]) -> list[FeedbackCounts]:
        """Write the truths of these calls, all or none; return the counts of each."""
        ...


class TruthWriter:
    """The writer of the truths of one router replica; belongs to one event loop.

    Args:
        workload: whose truths.
        store: where they go; called in a thread.
        flush_predictions: returns when none of these predictions waits for the store in this replica.
        rest_s: pause after a group, in which the next one gathers.
        max_truths: most truths in a group; one call may have more.
        max_waiting: most calls that wait.
        flush_timeout_s: how long predictions may take to be flushed.
        sleep: pauses for so many seconds; tests give their own.

    Attributes:
        outcomes: truths that were written, by outcome: accepted, unmatched (came before their prediction),
            duplicate (equal to the truth that stands), conflicting (another than the truth that stands).
    """

    def __init__(
        self,
        workload: str,
        store: TruthSink,
        flush_predictions: Callable[[Collection[str]], Awaitable[None]],
        *,
        rest_s: float = 0.01,
        max_truths: int = 10_000,
        max_waiting: int = 4096,
        flush_timeout_s: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._workload = workload
        self._store = store
        self._flush_predictions = flush_predictions
        self._rest_s = rest_s
        self._max_truths = max_truths
        self._max_waiting = max_waiting
        self._flush_timeout_s = flush_timeout_s
        self._sleep = sleep
        self._waiting: dict[asyncio.Future[FeedbackCounts], Sequence[Truth]] = {}
        self._task: asyncio.Task[None] | None = None

    async def write(self, truths: Sequence[Truth]) -> FeedbackCounts:
        """Write the truths of a call; on disk when this returns.

        A caller that is cancelled before its group is written leaves it, and disturbs nobody.

        Raises:
            Overloaded: `max_waiting` calls wait already.
            StoreUnavailable: nothing of the call is written.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{len(self._waiting)} calls with truths wait already")
        future: asyncio.Future[FeedbackCounts] = asyncio.get_running_loop().create_future()
        self._waiting[future] = truths
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_groups())
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def close(self) -> None:
        """Return when every call has its answer."""
        if self._task is not None:
            await self._task

    async def _write_groups(self) -> None:
        while self._waiting:
            await self._write(self._take())
            await self._sleep(self._rest_s)

    def _take(self) -> dict[asyncio.Future[FeedbackCounts], Sequence[Truth]]:
        """Take the calls that came first, as many as a group holds, and one at least."""
        group: dict[asyncio.Future[FeedbackCounts], Sequence[Truth]] = {}
        size = 0
        for future, truths in self._waiting.items():
            size += len(truths)
            if group and size > self._max_truths:
                break
            group[future] = truths
        for future in group:
            del self._waiting[future]
        return group

    async def _write(self, group: dict[asyncio.Future[FeedbackCounts], Sequence[Truth]]) -> None:
        """Write a group and answer its calls; one that the store refuses goes call by call."""
        try:
            counts = await self._write_calls(list(group.values()))
        except Exception as error:  # noqa: BLE001 - the callers handle it, whatever it is
            if len(group) > 1 and not isinstance(error, StoreUnavailable):
                for future, truths in group.items():
                    await self._write({future: truths})
            for future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, count in zip(group, counts, strict=True):
                self._count(count)
                if not future.done():
                    future.set_result(count)
        finally:
            for future in group:
                future.cancel()  # without effect on those that have their answer

    async def _write_calls(self, calls: list[Sequence[Truth]]) -> list[FeedbackCounts]:
        try:
            async with asyncio.timeout(self._flush_timeout_s):
                await self._flush_predictions({truth.id for truths in calls for truth in truths})
        except TimeoutError:
            raise StoreUnavailable("the store does not take the predictions of these truths") from None
        return await asyncio.to_thread(self._store.write_truth_calls, self._workload, calls)

    def _count(self, counts: FeedbackCounts) -> None:
        self.outcomes["accepted"] += counts.accepted
        self.outcomes["unmatched"] += counts.unmatched
        self.outcomes["duplicate"] += counts.duplicate - counts.conflicting
        self.outcomes["conflicting"] += counts.conflicting
