"""The prediction that a caller gets for an instance."""

from __future__ import annotations

from typing import Any, NamedTuple

from deployments.domain.instances import Instance
from deployments.domain.routing import ArmVersion, Decision
from features.contract import Contract
from training.runtime.tasks.base import ArmAnswer


class Prediction(NamedTuple):
    """The answer about an instance, with everything that tells where it came from.

    Attributes:
        instance: that was sent; it has the id under which truth is sent back.
        decision: the arms that were to be tried.
        arm: the arm that answered.
        version: the bundle version that answered.
        answer: of that arm.
    """

    instance: Instance
    decision: Decision
    arm: str
    version: ArmVersion
    answer: ArmAnswer

    @property
    def id(self) -> str | int:
        """The id of the instance, as its sender wrote it."""
        return self.instance.sent_id

    @property
    def fallback(self) -> bool:
        """Return whether another arm was the first choice."""
        return self.arm != self.decision.arm


def render(contract: Contract, prediction: Prediction) -> dict[str, Any]:
    """Return the JSON object of a prediction."""
    answer, region = prediction.answer, contract.target.region
    return {
        "id": prediction.id,
        "prediction": answer.prediction,
        **({region: answer.region} if region else {}),
        "coverage": answer.coverage,
        "outlier_score": answer.outlier_score,
        "arm": prediction.arm,
        "model_version": prediction.version.model_version,
        "bundle": prediction.version.bundle,
        "schema_version": contract.schema_version,
        "fallback": prediction.fallback,
    }
