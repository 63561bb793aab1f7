"""The writer of the journal, behind the answers: rows of predictions, and of the answers of shadows.

`add` costs an append a row. A background task writes the waiting rows every `flush_interval_s`. A batch that
cannot be written stays and is tried again, for as long as it takes; rows are idempotent by id, so a batch
that was written after all does no harm.

Rows can be lost: those of the last `flush_interval_s` when the process is killed; new ones while the store
is away and `max_buffer` rows wait (the oldest are kept); a row that the store cannot take at all.
The last two are counted in `dropped` and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice
from typing import Generic, Protocol, TypeVar

from deployments.runtime.logs import should_log_count
from deployments.store.sql.engine import StoreUnavailable

_log = logging.getLogger(__name__)


class Identified(Protocol):
    """A row of a journal."""

    @property
    def id(self) -> str:
        """The id of the prediction."""
        ...


R = TypeVar("R", bound=Identified)


class JournalWriter(Generic[R]):
    """A writer of the journal of one router replica; it belongs to one event loop.

    Args:
        write: writes rows, idempotent by id; called in a thread. It raises StoreUnavailable when they may be
            written later.
        kind: the word for a row in the log.
        flush_interval_s: how long a row waits for others.
        max_batch: most rows in one transaction.
        max_buffer: most rows that wait.
        full_enough: number of waiting rows above which `make_room` waits.
        backoff_s: first pause after a failure; it doubles up to `max_backoff_s`.
        max_backoff_s: longest pause.
        sleep: pauses for so many seconds; tests give their own.

    Attributes:
        written: number of rows that are in the store.
        dropped: number of rows that are lost.
    """

    def __init__(
        self,
        write: Callable[[Sequence[R]], object],
        kind: str = "prediction",
        *,
        flush_interval_s: float = 0.2,
        max_batch: int = 2000,
        max_buffer: int = 50_000,
        full_enough: int = 4000,
        backoff_s: float = 0.1,
        max_backoff_s: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.written = 0
        self.dropped = 0
        self._write = write
        self._kind = kind
        self._flush_interval_s = flush_interval_s
        self._max_batch = max_batch
        self._max_buffer = max_buffer
        self._full_enough = full_enough
        self._backoff_s = backoff_s
        self._max_backoff_s = max_backoff_s
        self._sleep = sleep
        self._buffer: deque[R] = deque()
        self._by_id: dict[str, R] = {}
        self._left_buffer = 0
        self._suspects = 0
        self._pause_s = backoff_s
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of rows that are not in the store yet."""
        return len(self._buffer)

    def find(self, id_: str) -> R | None:
        """Return the last row with this id that is not in the store yet."""
        return self._by_id.get(id_)

    def add(self, rows: Sequence[R]) -> None:
        """Add rows. Never blocks or fails; a full buffer drops the rows beyond its size and logs it."""
        room = max(self._max_buffer - len(self._buffer), 0)
        for _ in rows[room:]:
            self._drop(f"{self._max_buffer} rows wait for the store")
        self._buffer.extend(rows[:room])
        self._by_id.update((row.id, row) for row in rows[:room])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_behind())

    async def make_room(self) -> None:
        """Wait until the store has taken the waiting rows, or return at once if it is away."""
        while len(self._buffer) > self._full_enough and self._pause_s == self._backoff_s:
            await self._write_batch()

    async def flush(self) -> None:
        """Wait until every row that was added so far is in the store, or is dropped as unwritable."""
        target = self._left_buffer + len(self._buffer)
        while self._left_buffer < target:
            await self._write_batch()

    async def flush_those(self, ids: Collection[str]) -> None:
        """Flush if a row with one of these ids waits; most truths come long after their prediction."""
        if any(id_ in self._by_id for id_ in ids):
            await self.flush()

    async def close(self, timeout_s: float = 10.0) -> None:
        """Flush, for `timeout_s` at most; rows that are left then are lost, counted and logged."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.flush(), timeout_s)
        if self._task is not None:
            self._task.cancel()
        if lost := len(self._buffer):
            self._buffer.clear()
            self._by_id.clear()
            self.dropped += lost
            _log.error("the journal closes while the store is unavailable: %d %ss are lost", lost, self._kind)

    async def _write_behind(self) -> None:
        """Write the waiting rows every interval, until there are none."""
        while self._buffer:
            await self._sleep(self._flush_interval_s)
            await self.flush()

    async def _write_batch(self) -> None:
        """Write the oldest rows, or pause when the store is away. Rows leave the buffer once written.

        When the store rejects a batch, its rows go one by one, so that a bad row takes no other with it.
        """
        async with self._one_at_a_time:
            batch = list(islice(self._buffer, 1 if self._suspects else self._max_batch))
            if not batch:
                return  # another flush wrote them while this one waited for its turn
            try:
                await asyncio.to_thread(self._write, batch)
                self.written += len(batch)
            except StoreUnavailable as error:
                waiting, pause_s = len(self._buffer), self._pause_s
                _log.warning("%d %ss wait: %s; next attempt in %.1f s", waiting, self._kind, error, pause_s)
                await self._sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, self._max_backoff_s)
                return
            except Exception as error:  # noqa: BLE001 - no row, however wrong, may stop the journal
                if len(batch) > 1:
                    self._suspects = len(batch)
                    return
                self._drop(f"the store cannot take {batch[0].id}: {error!r}")
            self._pause_s = self._backoff_s
            self._suspects = max(self._suspects - len(batch), 0)
            self._left_buffer += len(batch)
            for row in batch:
                self._buffer.popleft()
                if self._by_id.get(row.id) is row:
                    del self._by_id[row.id]

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if should_log_count(self.dropped):
            _log.error("a %s is not journalled, %d so far: %s", self._kind, self.dropped, why)
