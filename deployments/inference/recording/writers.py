"""The writers of one router replica: they hold what waits for the store or the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.inference.recording.request_log import RequestLog
from deployments.inference.recording.truth_writer import TruthWriter
from deployments.store import JournalWriter, PredictionRecord, ShadowRow, Store

_log = logging.getLogger(__name__)


class PredictionSink:
    """A sink of predictions in the store.

    Args:
        store: where they go.

    Attributes:
        reused_ids: predictions that are left out of the journal, since another instance has their id.
    """

    def __init__(self, store: Store) -> None:
        self.reused_ids = 0
        self._store = store

    def write(self, rows: Sequence[PredictionRecord]) -> None:
        """Write rows; blocking, for one thread at a time."""
        reused = self._store.write_predictions(rows)
        if not reused:
            return
        self.reused_ids += len(reused)
        _log.error(
            "%d predictions are not journalled, %d so far: other instances have their ids, %r among them."
            " Truths of these ids are left out from now on",
            len(reused),
            self.reused_ids,
            reused[0],
        )


@dataclass(frozen=True)
class Writers:
    """Writers of a replica, all of them.

    Attributes:
        predictions: takes the rows of `journal`.
        journal: predictions that wait for the store.
        shadow_journal: answers of shadows that wait for the store.
        truths: calls with truths, written before they are answered.
        request_log: lines that wait for the log.
    """

    predictions: PredictionSink
    journal: JournalWriter[PredictionRecord]
    shadow_journal: JournalWriter[ShadowRow]
    truths: TruthWriter
    request_log: RequestLog

    async def close(self) -> None:
        """Write all that waits; answers of shadows only for a second."""
        self.request_log.flush()
        await self.truths.close()
        await self.journal.close()
        await self.shadow_journal.close(timeout_s=1.0)


def make_writers(workload: str, store: Store) -> Writers:
    """Return the writers of a workload; a truth waits for the prediction that it is about."""
    predictions = PredictionSink(store)
    journal = JournalWriter(predictions.write)
    return Writers(
        predictions,
        journal,
        JournalWriter(store.shadows.write, "shadow answer", flush_interval_s=1.0),
        TruthWriter(workload, store, journal.flush_those),
        RequestLog(),
    )
