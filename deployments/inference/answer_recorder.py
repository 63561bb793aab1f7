"""What follows each answer: its record in the journal, its line in the log, its counts, its shadow copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from deployments.domain.predictions import Prediction
from deployments.inference.answer_metrics import AnswerCounts
from deployments.inference.journal_record import journal_record
from deployments.inference.request_log import RequestLog
from deployments.inference.shadow import ShadowTraffic
from deployments.store.records import PredictionRecord
from deployments.telemetry.tracing.api import Tracing
from features.contract import Contract


class RecordSink(Protocol):
    """Where records go; a `JournalWriter` is one."""

    def add(self, rows: Sequence[PredictionRecord]) -> None:
        """Take the records; never blocks or raises."""
        ...


class AnswerRecorder:
    """Records the predictions of one router replica; neither blocks nor fails a request.

    Args:
        contract: of the workload.
        journal: takes the records.
        request_log: takes a line a prediction.
        counts: of the answers.
        shadows: copies the instances whose arm has a shadow.
        tracing: of the requests.
        now: UTC time.
    """

    def __init__(
        self,
        contract: Contract,
        journal: RecordSink,
        request_log: RequestLog,
        counts: AnswerCounts,
        shadows: ShadowTraffic,
        tracing: Tracing,
        now: Callable[[], datetime],
    ) -> None:
        self._contract = contract
        self._journal = journal
        self._request_log = request_log
        self._counts = counts
        self._shadows = shadows
        self._tracing = tracing
        self._now = now

    def record(self, predictions: Sequence[Prediction], latency_s: float) -> None:
        """Record predictions of one request that are handed out together, after so many seconds."""
        now = self._now()
        records = [journal_record(self._contract, one, now, latency_s) for one in predictions]
        self._journal.add(records)
        self._request_log.add(records, self._tracing.answered(predictions))
        for record in records:
            self._counts.add(record)
        self._shadows.copy(predictions, now)
