"""An arm: scaled matrix -> ONNX Runtime -> target units and region, of the version that the call names."""

from __future__ import annotations

from deployments.actors.base import ReplicaOptions, VersionedReplica
from deployments.domain.routing import ArmVersion
from deployments.inference.messages import PredictedMessage, ScaledBatch
from training.runtime.bundle import Bundle
from training.runtime.inference import ArmRuntime


class MixedVersions(RuntimeError):
    """A matrix scaled for one version reached another. It is never answered: it would be wrong silently."""


class Arm(VersionedReplica[ArmRuntime]):
    """The deployment of one arm, with any number of replicas."""

    def __init__(self, name: str, options: ReplicaOptions) -> None:
        super().__init__(options, start_arm, self.predict, arm=name)
        self._name = name

    async def predict(
        self, version: ArmVersion, batch: ScaledBatch, level: float | None = None
    ) -> PredictedMessage:
        """Predict scaled rows (n, [steps,] features), with regions.

        Args:
            version: the one to predict by.
            batch: of the scaler.
            level: coverage at which regions are made; the nominal one of the bundle unless given.

        Raises:
            MixedVersions: the rows were scaled for another version.
        """
        if batch.bundle != version.bundle:
            raise MixedVersions(f"rows scaled for {batch.bundle} reached {version.bundle}")

        def compute(arm: ArmRuntime) -> PredictedMessage:
            predicted = arm.predict(batch.scaled, level)
            return PredictedMessage(version.bundle, predicted, arm.coverage, batch.outlier_score)

        rows = len(batch.scaled.matrix)
        with self.in_flight, self.tracing.called("arm", batch.trace, arm=self._name, rows=rows):
            return await self.run(version, rows, compute)


def start_arm(bundle: Bundle) -> ArmRuntime:
    """Make the runtime of a bundle's model, and check it on the golden inputs."""
    runtime = ArmRuntime(bundle)
    runtime.check_golden()
    return runtime
