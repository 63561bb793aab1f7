"""Batching of concurrent requests: rows that wait for the same key go downstream as one call.

An idle key sends at once (with whatever came in the same turn of the event loop); while `max_in_flight` calls
of a key are in flight its rows queue, and go together when one returns. So batches grow with the load and
nothing waits when there is none.

Under overload, rows grow old in the queue while earlier ones are sent. After each answer, rows whose deadline
in the queue is over are rejected at once: they would hardly be answered in time, and be computed in vain. A
row that no call was sent before has not waited for others but for a key that did not answer, perhaps since a
replica of it had died: it goes with the next call if there is one, and waits until its caller counts the key
as failed if there is none.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from deployments.domain.errors import Overloaded

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class _Waiting(Generic[R]):
    row: R
    until_s: float
    calls_before: int


class _Lane(Generic[R, T]):
    """The queue of one key, in order of arrival, with its calls in flight and those sent so far."""

    def __init__(self) -> None:
        self.waiting: dict[asyncio.Future[T], _Waiting[R]] = {}
        self.calls = 0
        self.in_flight = 0
        self.is_due = False


class Coalescer(Generic[K, R, T]):
    """A merger of concurrent `submit`s of a key; it belongs to one event loop.

    A caller that is cancelled, for example because its deadline ran out, leaves the queue and disturbs
    nobody; when its row is in flight already, the answer is dropped. A call that fails, fails for the
    callers of that batch alone.

    Args:
        call: answers the rows of one key, one result a row in their order.
        max_in_flight: most calls of a key in flight.
        max_batch: most rows in a call.
        max_waiting: most rows that wait for a key, without those in flight.
        retry_after_s: the waiting time that `Overloaded` has for the caller.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        call: Callable[[K, list[R]], Awaitable[Sequence[T]]],
        *,
        max_in_flight: int = 2,
        max_batch: int = 256,
        max_waiting: int = 4096,
        retry_after_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._max_in_flight = max_in_flight
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._lanes: dict[K, _Lane[R, T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, key: K, row: R, patience_s: float = math.inf) -> T:
        """Send a row with the next call of its key, and return its result.

        Args:
            key: of the call.
            row: the input.
            patience_s: how long it may wait to be sent while earlier rows are.

        Raises:
            Overloaded: `max_waiting` rows wait for the key already, or this one has for too long.
            Exception: the one of the downstream call of this row's batch.
        """
        lane = self._lanes.setdefault(key, _Lane())
        if len(lane.waiting) >= self._max_waiting:
            raise Overloaded(f"{len(lane.waiting)} requests wait already", self._retry_after_s)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        lane.waiting[future] = _Waiting(row, self._clock() + patience_s, lane.calls)
        if lane.in_flight < self._max_in_flight:
            self._send_soon(key, lane)
        try:
            return await future
        finally:
            lane.waiting.pop(future, None)

    def waiting(self, key: K) -> int:
        """Count the rows that wait for the key, without those in flight."""
        lane = self._lanes.get(key)
        return len(lane.waiting) if lane else 0

    def all_waiting(self) -> dict[K, int]:
        """Return the number of waiting rows of each key that has rows or calls."""
        return {key: len(lane.waiting) for key, lane in self._lanes.items()}

    def _send_soon(self, key: K, lane: _Lane[R, T]) -> None:
        """Send at the end of this turn of the loop, so that rows of other tasks go along."""
        if not lane.is_due:
            lane.is_due = True
            asyncio.get_running_loop().call_soon(self._send, key, lane)

    def _send(self, key: K, lane: _Lane[R, T]) -> None:
        lane.is_due = False
        while lane.in_flight < self._max_in_flight and (batch := self._next_batch(lane)):
            lane.calls += 1
            lane.in_flight += 1
            task = asyncio.create_task(self._run(key, lane, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not lane.in_flight:  # the callers have left
            self._lanes.pop(key, None)

    def _next_batch(self, lane: _Lane[R, T]) -> dict[asyncio.Future[T], R]:
        return {
            future: lane.waiting.pop(future).row for future in list(islice(lane.waiting, self._max_batch))
        }

    def _reject_expired(self, lane: _Lane[R, T]) -> None:
        now_s = self._clock()
        while lane.waiting:
            future, oldest = next(iter(lane.waiting.items()))
            if oldest.until_s >= now_s or oldest.calls_before == lane.calls:
                return
            del lane.waiting[future]
            if not future.done():
                future.set_exception(
                    Overloaded("more requests come than can be answered in time", self._retry_after_s)
                )

    async def _run(self, key: K, lane: _Lane[R, T], batch: dict[asyncio.Future[T], R]) -> None:
        try:
            results = await self._call(key, list(batch.values()))
            if len(results) != len(batch):
                raise RuntimeError(f"{key!r}: got {len(results)} results for {len(batch)} rows")
            for future, result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
            self._reject_expired(lane)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to handle
            for future in batch:
                if not future.done():
                    future.set_exception(error)
        finally:
            for future in batch:
                future.cancel()  # without effect on those that have their answer
            lane.in_flight -= 1
            if lane.waiting:
                self._send_soon(key, lane)
            elif not lane.in_flight and not lane.is_due:
                self._lanes.pop(key, None)  # keys name versions, and versions go
