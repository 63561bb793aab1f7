"""What a caller gets back for an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployments.routing import ArmVersion
from features.contract import Contract
from training.tasks.base import Row


@dataclass(frozen=True)
class Prediction:
    """A row with everything that tells where it came from.

    Attributes:
        id: of the instance, as its sender wrote it; truth is sent back under it.
        row: the prediction with its region.
        arm: the arm that answered.
        version: the bundle version that answered.
        fallback: whether another arm was the first choice.
    """

    id: str | int
    row: Row
    arm: str
    version: ArmVersion
    fallback: bool


def render(contract: Contract, prediction: Prediction) -> dict[str, Any]:
    """The JSON object of a prediction."""
    row, region = prediction.row, contract.target.region
    return {
        "id": prediction.id,
        "prediction": row.prediction,
        **({region: row.region} if region else {}),
        "coverage": row.coverage,
        "arm": prediction.arm,
        "model_version": prediction.version.model_version,
        "bundle": prediction.version.bundle,
        "schema_version": contract.schema_version,
        "fallback": prediction.fallback,
    }
