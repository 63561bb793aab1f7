"""The writers of one router replica: they hold what waits for the store or the log."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.inference.recording.request_log import RequestLog
from deployments.inference.recording.truth_writer import TruthWriter
from deployments.store import JournalWriter, PredictionRecord, ShadowRow, Store


@dataclass(frozen=True)
class Writers:
    """Writers of a replica, all of them.

    Attributes:
        journal: predictions that wait for the store.
        shadow_journal: answers of shadows that wait for the store.
        truths: calls with truths, written before they are answered.
        request_log: lines that wait for the log.
    """

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
    journal = JournalWriter(store.write_predictions)
    return Writers(
        journal,
        JournalWriter(store.shadows.write, "shadow answer", flush_interval_s=1.0),
        TruthWriter(workload, store, journal.flush_those),
        RequestLog(),
    )
