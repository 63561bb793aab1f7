"""An arm: scaled matrix -> ONNX Runtime -> target units and region, of the version that the call names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.routing import ArmVersion
from deployments.scaler import ScaledBatch
from deployments.versioned import ReplicaOptions, VersionedReplica
from training.bundle import Bundle
from training.inference import ArmRuntime
from training.tasks.base import Predicted


class MixedVersions(RuntimeError):
    """A matrix scaled for one version reached another. Never answered; it would be wrong silently."""


@dataclass(frozen=True)
class PredictedBatch:
    """Predictions, the version that made them, the nominal coverage of their regions, outlier scores (n,)."""

    bundle: str
    predicted: Predicted
    coverage: float
    outlier_score: NDArray[np.float64]


class Arm(VersionedReplica[ArmRuntime]):
    """Replicated; one deployment an arm name."""

    def __init__(self, name: str, options: ReplicaOptions) -> None:
        super().__init__(options, start_arm, arm=name)

    async def predict(
        self, version: ArmVersion, batch: ScaledBatch, level: float | None = None
    ) -> PredictedBatch:
        """Scaled rows (n, [steps,] features) -> predictions with their regions.

        Args:
            version: asked for.
            batch: of the scaler.
            level: coverage at which regions are made; the nominal one of the bundle unless given.

        Raises:
            MixedVersions: the rows were scaled for another version.
        """
        if batch.bundle != version.bundle:
            raise MixedVersions(f"rows scaled for {batch.bundle} reached {version.bundle}")

        def compute(arm: ArmRuntime) -> PredictedBatch:
            predicted = arm.predict(batch.scaled, level)
            return PredictedBatch(version.bundle, predicted, arm.coverage, batch.outlier_score)

        return await self.run(version, len(batch.scaled.matrix), compute)


def start_arm(bundle: Bundle) -> ArmRuntime:
    """The runtime of a bundle's model, proven on the golden inputs."""
    runtime = ArmRuntime(bundle)
    runtime.check_golden()
    return runtime
