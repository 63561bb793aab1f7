"""Rows of the journal as the benchmark's workload leaves them, made without a system."""

from __future__ import annotations

from datetime import UTC, datetime

from ulid_transform import ulid_now

from deployments.store import PredictionRecord
from scripts.benchmarks.bench.raysonde import WORKLOAD

TARGET = "y"


def prediction_row(arm: str, y: float, payload: str) -> PredictionRecord:
    """Return the record of an answer of `arm`, given now.

    Args:
        y: what was predicted.
        payload: the request's body.
    """
    return PredictionRecord(
        workload=WORKLOAD,
        id=ulid_now(),
        entity="r1",
        arm=arm,
        model_version="1",
        bundle="sha256:" + "0" * 64,
        schema_version="1.0",
        named=False,
        fallback=False,
        attempts=(arm,),
        created_at=datetime.now(UTC),
        latency_s=0.01,
        prediction={TARGET: y},
        interval={TARGET: [y - 2, y + 2]},
        coverage=0.9,
        payload=payload,
        filled={},
        outlier_score=0.5,
    )
