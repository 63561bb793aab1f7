"""The record of the journal that a prediction becomes."""

from __future__ import annotations

from datetime import datetime

from deployments.domain.predictions import Prediction
from deployments.store.records import PredictionRecord
from features.contract import Contract


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
    )
