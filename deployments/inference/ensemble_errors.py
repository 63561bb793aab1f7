"""The errors of each model of an ensemble, read from the truths in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from deployments.domain.ensembles import MOST_TRUTHS
from deployments.inference.ensemble_weights import RollingErrors
from deployments.store.records import LabelledRow
from features.targets import AnyTarget
from training.runtime.tasks.base import ArmAnswer, Task

PAGE_ROWS = 1000
PAGES_A_POLL = 5


class LabelledRows(Protocol):
    """A source of predictions with their truths; a `Store` is one."""

    def labelled(self, workload: str, after: int, limit: int = 1000) -> list[LabelledRow]:
        """Return pairs completed after the cursor, oldest first."""
        ...

    def labelled_tail(self, workload: str, rows: int) -> int:
        """Return the cursor after which the last `rows` pairs lie."""
        ...


class EnsembleErrorTracker:
    """A reader of the journal that goes on from where it was, at first a bounded number of rows from its end.

    Every router replica has its own. Over the same journal they come to the same errors.

    Args:
        store: the journal.
        workload: whose predictions.
        target: reads truths.
        task: computes the error of a prediction.
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
        """Read the new pairs, a bounded number of pages, in a thread."""
        async with self._one_at_a_time:
            for _ in range(PAGES_A_POLL):
                rows, errors = await asyncio.to_thread(self._read)
                # not in the thread: shares are read between two turns of the event loop
                for bundle, error in errors:
                    self._errors.add(bundle, error)
                if rows < PAGE_ROWS:
                    return

    def _read(self) -> tuple[int, list[tuple[str, float]]]:
        """Return how many rows are new, and the errors of the models in them by bundle."""
        if self._cursor is None:
            self._cursor = self._store.labelled_tail(self._workload, self._start_rows)
        rows = self._store.labelled(self._workload, self._cursor, PAGE_ROWS)
        if rows:
            self._cursor = rows[-1].seq
        return len(rows), [pair for row in rows for pair in self._model_errors(row)]

    def _model_errors(self, row: LabelledRow) -> Iterator[tuple[str, float]]:
        answers = {row.bundle: ArmAnswer(row.prediction, row.interval, row.coverage)}
        if row.members is not None:
            answers = {
                one["bundle"]: ArmAnswer(one["prediction"], one["interval"], one["coverage"])
                for one in row.members.values()
            }
        # a journal may reach back to a contract with another target
        with suppress(KeyError, ValueError, TypeError, IndexError):
            truth = self._target.of_json(row.truth[self._target.name])
            for bundle, answer in answers.items():
                yield bundle, self._task.error(answer, truth)
