"""What a caller gets back for an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from deployments.routing import ArmVersion
from features.contract import Contract


class Row(NamedTuple):
    """One prediction with its band, in target units.

    Attributes:
        value: the prediction.
        lower, upper: ends of the band.
        coverage: nominal share of truths inside bands like this one.
    """

    value: float
    lower: float
    upper: float
    coverage: float


@dataclass(frozen=True)
class Prediction:
    """A row with everything that tells where it came from.

    Attributes:
        id: of the instance, as its sender wrote it; truth is sent back under it.
        row: value and band.
        arm: the arm that answered.
        version: the bundle version that answered.
        fallback: whether another arm was the first choice.
    """

    id: str | int
    row: Row
    arm: str
    version: ArmVersion
    fallback: bool


def answer_members(contract: Contract, row: Row) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The members `prediction` and `interval` of an answer, which the journal keeps as they were sent."""
    target = contract.target.name
    return {target: row.value}, {target: [row.lower, row.upper]}


def render(contract: Contract, prediction: Prediction) -> dict[str, Any]:
    """The JSON object of a prediction."""
    value, interval = answer_members(contract, prediction.row)
    return {
        "id": prediction.id,
        "prediction": value,
        "interval": interval,
        "coverage": prediction.row.coverage,
        "arm": prediction.arm,
        "model_version": prediction.version.model_version,
        "bundle": prediction.version.bundle,
        "schema_version": contract.schema_version,
        "fallback": prediction.fallback,
    }
