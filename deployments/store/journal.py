"""Predictions on their way to the store, behind the answer.

`add` costs an append. A background task writes what has gathered every `flush_interval_s`. A batch that
cannot be written stays and is tried again, for as long as it takes; rows are idempotent by id, so a batch
that was written after all does no harm.

What can be lost: the rows of the last `flush_interval_s` when the process is killed; new rows while the
store is away and `max_buffer` rows wait (the oldest are kept); a row that the store cannot take at all.
The last two are counted in `dropped` and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Protocol

from deployments.store.engine import StoreUnavailable
from deployments.store.records import PredictionRow

_log = logging.getLogger(__name__)


class PredictionSink(Protocol):
    """Where a journal writes; `Store` is one."""

    def write_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Write rows, idempotent by id; StoreUnavailable when they may be written later."""
        ...


class JournalWriter:
    """The journal of one router replica; belongs to one event loop.

    Args:
        store: where rows go; called in a thread.
        flush_interval_s: how long a row waits for others.
        max_batch: most rows in one transaction.
        max_buffer: most rows that wait.
        backoff_s: first pause after a failure; it doubles up to `max_backoff_s`.
        max_backoff_s: longest pause.
        sleep: pauses for so many seconds; tests give their own.
    """

    def __init__(
        self,
        store: PredictionSink,
        *,
        flush_interval_s: float = 0.2,
        max_batch: int = 500,
        max_buffer: int = 50_000,
        backoff_s: float = 0.1,
        max_backoff_s: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.dropped = 0
        self.written = 0
        self._store = store
        self._flush_interval_s = flush_interval_s
        self._max_batch = max_batch
        self._max_buffer = max_buffer
        self._backoff_s = backoff_s
        self._max_backoff_s = max_backoff_s
        self._sleep = sleep
        self._buffer: deque[PredictionRow] = deque()
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Rows that are not in the store yet."""
        return len(self._buffer)

    def add(self, row: PredictionRow) -> None:
        """Take a row. Never blocks and never fails; a full buffer drops the row and says so."""
        if len(self._buffer) >= self._max_buffer:
            self._drop(f"{len(self._buffer)} rows wait for the store")
            return
        self._buffer.append(row)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())

    async def flush(self) -> None:
        """Return when every row that was added so far is in the store, or was dropped as unwritable."""
        while self._task is not None and not self._task.done():
            self._hurry.set()
            await asyncio.shield(self._task)

    async def close(self, timeout_s: float = 10.0) -> None:
        """Flush, for `timeout_s` at most; what is left then is lost, counted and logged."""
        try:
            await asyncio.wait_for(self.flush(), timeout_s)
        except TimeoutError:
            assert self._task is not None
            self._task.cancel()
            lost = len(self._buffer)
            self._buffer.clear()
            self.dropped += lost
            _log.error("the journal closed with the store away: %d predictions are lost", lost)

    async def _drain(self) -> None:
        """Write until the buffer is empty. Rows leave the buffer only once they are written."""
        await self._wait_for_more()
        pause_s = self._backoff_s
        while self._buffer:
            batch = list(islice(self._buffer, self._max_batch))
            try:
                await self._write(batch)
            except StoreUnavailable as error:
                _log.warning("%d predictions wait: %s; again in %.1f s", len(self._buffer), error, pause_s)
                await self._sleep(pause_s)
                pause_s = min(2 * pause_s, self._max_backoff_s)
                continue
            pause_s = self._backoff_s
            for _ in batch:
                self._buffer.popleft()

    async def _wait_for_more(self) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._flush_interval_s)

    async def _write(self, batch: list[PredictionRow]) -> None:
        """Write a batch; when the store refuses it, row by row, so that a bad row takes no other with it."""
        try:
            await asyncio.to_thread(self._store.write_predictions, batch)
            self.written += len(batch)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - no row, however wrong, may stop the journal
            if len(batch) == 1:
                self._drop(f"the store cannot take {batch[0].id}: {error!r}")
                return
            for row in batch:
                await self._write([row])

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if (
            self.dropped & (self.dropped - 1) == 0
        ):  # at 1, 2, 4, 8 ...: a full buffer must not fill the log too
            _log.error("a prediction is not journalled, %d so far: %s", self.dropped, why)
