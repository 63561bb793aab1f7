"""Records each answer: in the journal, the log, the counts, and for shadows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from deployments.domain.predictions import Prediction
from deployments.inference.recording.answer_metrics import AnswerCounts
from deployments.inference.recording.request_log import RequestLog
from deployments.inference.shadow import ShadowTraffic
from deployments.store.records import PredictionRecord
from deployments.store.store import utc_now
from deployments.telemetry.tracing.api import Tracing
from features.contract import Contract


class RecordSink(Protocol):
    """A sink of records; a `JournalWriter` is one."""

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
        now: Callable[[], datetime] = utc_now,
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


def journal_record(
    contract: Contract, prediction: Prediction, created_at: datetime, latency_s: float
) -> PredictionRecord:
    """Make the record of a prediction that was handed out at that time, after so many seconds."""
    instance, decision, arm, version, answer = prediction
    tried = decision.attempts
    return PredictionRecord(
        workload=contract.workload,
        id=instance.id,
        entity=instance.entity,
        arm=arm,
        model_version=version.model_version,
        bundle=version.bundle,
        schema_version=contract.schema_version,
        named=decision.named,
        fallback=arm != decision.arm,
        attempts=tried[: tried.index(arm) + 1],
        created_at=created_at,
        latency_s=latency_s,
        prediction=answer.prediction,
        interval=answer.region,
        coverage=answer.coverage,
        filled=instance.filled,
        payload=instance.payload.decode(),
        members=answer.members,
        outlier_score=answer.outlier_score,
        cached=answer.cached,
        level=answer.level,
        probe=instance.caller.is_probe,
        sent_by=instance.caller.address,
    )
