"""Follows the truths in the journal, and tells how wrong each model was that predicted them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from deployments.domain.ensembles import MOST_TRUTHS
from deployments.inference.ensemble_weights import RollingErrors
from deployments.store.records import LabelledRow
from features.targets import AnyTarget
from training.runtime.tasks.base import Row, Task

PAGE_ROWS = 1000
PAGES_A_POLL = 5


class LabelledRows(Protocol):
    """Where predictions with their truths are read; `Store` is one."""

    def labelled(self, workload: str, after: int, limit: int = 1000) -> list[LabelledRow]:
        """Pairs completed after the cursor, oldest first."""
        ...

    def labelled_tail(self, workload: str, rows: int) -> int:
        """The cursor after which the last `rows` pairs lie."""
        ...


class EnsembleErrorTracker:
    """Reads on from where it was; at first from a bounded number of rows before the end.

    Every router replica has its own. Over the same journal they come to the same errors.

    Args:
        store: the journal.
        workload: whose predictions.
        target: reads truths.
        task: judges predictions.
        errors: takes the errors.
        start_rows: at first so many pairs before the end.
    """

    def __init__(
        self,
        store: LabelledRows,
        workload: str,
        target: AnyTarget,
        task: Task,
        errors: RollingErrors,
        start_rows: int = MOST_TRUTHS,
    ) -> None:
        self._store = store
        self._workload = workload
        self._target = target
        self._task = task
        self._errors = errors
        self._start_rows = start_rows
        self._cursor: int | None = None
        self._one_at_a_time = asyncio.Lock()

    async def catch_up(self) -> None:
        """Read what is new, a bounded number of pages, in a thread."""
        async with self._one_at_a_time:
            for _ in range(PAGES_A_POLL):
                rows, found = await asyncio.to_thread(self._read)
                # not in the thread: shares are read between two turns of the event loop
                for bundle, error in found:
                    self._errors.add(bundle, error)
                if rows < PAGE_ROWS:
                    return

    def _read(self) -> tuple[int, list[tuple[str, float]]]:
        """How many rows are new, and the errors of the models in them."""
        if self._cursor is None:
            self._cursor = self._store.labelled_tail(self._workload, self._start_rows)
        rows = self._store.labelled(self._workload, self._cursor, PAGE_ROWS)
        if rows:
            self._cursor = rows[-1].seq
        return len(rows), [found for row in rows for found in self._errors_of(row)]

    def _errors_of(self, row: LabelledRow) -> Iterator[tuple[str, float]]:
        said = {row.bundle: Row(row.prediction, row.interval, row.coverage)}
        if row.members is not None:
            said = {
                one["bundle"]: Row(one["prediction"], one["interval"], one["coverage"])
                for one in row.members.values()
            }
        # a journal may reach back to a contract with another target
        with suppress(KeyError, ValueError, TypeError, IndexError):
            truth = self._target.of_json(row.truth[self._target.name])
            for bundle, answer in said.items():
                yield bundle, self._task.error(answer, truth)
