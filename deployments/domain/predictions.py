"""What a caller gets back for an instance."""

from __future__ import annotations

from typing import Any, NamedTuple

from deployments.domain.routing import ArmVersion
from features.contract import Contract
from training.runtime.tasks.base import Row


class Blended(NamedTuple):
    """A row that an ensemble made.

    Attributes:
        row: the blend.
        members: what each member said, by arm, as the journal keeps it.
    """

    row: Row
    members: dict[str, Any]


Said = Row | Blended


class Prediction(NamedTuple):
    """A row with everything that tells where it came from.

    Attributes:
        id: of the instance, as its sender wrote it; truth is sent back under it.
        row: the prediction with its region.
        arm: the arm that answered.
        version: the bundle version that answered.
        fallback: whether another arm was the first choice.
        members: of an ensemble, see `Blended`.
    """

    id: str | int
    row: Row
    arm: str
    version: ArmVersion
    fallback: bool
    members: dict[str, Any] | None = None


def render(contract: Contract, prediction: Prediction) -> dict[str, Any]:
    """The JSON object of a prediction."""
    row, region = prediction.row, contract.target.region
    return {
        "id": prediction.id,
        "prediction": row.prediction,
        **({region: row.region} if region else {}),
        "coverage": row.coverage,
        "outlier_score": row.outlier_score,
        "arm": prediction.arm,
        "model_version": prediction.version.model_version,
        "bundle": prediction.version.bundle,
        "schema_version": contract.schema_version,
        "fallback": prediction.fallback,
    }
