"""An answer as the row of the journal that it becomes."""

from __future__ import annotations

from datetime import datetime

from deployments.domain.outcomes import Answered
from deployments.store.records import PredictionRow
from features.contract import Contract


def journal_row(contract: Contract, answered: Answered, created_at: datetime) -> PredictionRow:
    """The row of an answer that was given at that time."""
    prediction, instance, decision = answered.prediction, answered.instance, answered.decision
    tried = decision.attempts
    return PredictionRow(
        workload=contract.workload,
        id=instance.id,
        entity=instance.entity,
        arm=prediction.arm,
        model_version=prediction.version.model_version,
        bundle=prediction.version.bundle,
        schema_version=contract.schema_version,
        named=decision.named,
        fallback=prediction.fallback,
        attempts=tried[: tried.index(prediction.arm) + 1],
        created_at=created_at,
        latency_s=answered.latency_s,
        prediction=prediction.row.prediction,
        interval=prediction.row.region,
        coverage=prediction.row.coverage,
        filled=instance.filled,
        payload=instance.payload.decode(),
        members=prediction.members,
        outlier_score=prediction.row.outlier_score,
        cached=answered.cached,
        level=prediction.row.level,
    )
