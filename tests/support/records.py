"""Rows of the journal for tests."""

from datetime import UTC, datetime

from deployments.store import PredictionRecord, ShadowRow


def row(number: int) -> PredictionRecord:
    """The prediction with the id `number`."""
    return PredictionRecord(
        workload="apogee",
        id=str(number),
        entity="A12",
        arm="mlp",
        model_version="1",
        bundle="sha256:00",
        schema_version="1.0",
        named=False,
        fallback=False,
        attempts=("mlp",),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_s=0.01,
        prediction={"apogee_m": 1.0},
        interval={"apogee_m": [0.5, 1.5]},
        coverage=0.9,
        payload="{}",
        filled={},
    )


def shadow_of(answer: PredictionRecord, bundle: str = "sha256:11") -> ShadowRow:
    """What a shadow said beside this prediction."""
    return ShadowRow(
        workload=answer.workload,
        id=answer.id,
        arm=answer.arm,
        model_version="2",
        bundle=bundle,
        created_at=answer.created_at,
        latency_s=0.02,
        prediction={"apogee_m": 2.0},
        interval={"apogee_m": [1.5, 2.5]},
        coverage=0.9,
    )
