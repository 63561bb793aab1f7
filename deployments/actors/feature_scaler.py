"""The FeatureScaler: raw windows -> features -> scaled matrix, of the version of the call; then its arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployments.actors.base import ReplicaOptions, VersionedReplica
from deployments.inference.messages import PredictedMessage, RawBatch, ScaledBatch
from deployments.rpc.client import RpcClient
from deployments.rpc.serve_handles import Handle
from training.runtime.bundle import Bundle
from training.runtime.inference import ScalerRuntime


class FeatureScaler(VersionedReplica[ScalerRuntime]):
    """The deployment that scales features for all arms, and calls them with the result.

    Args:
        options: where the bundles are.
        arms: by name.
    """

    def __init__(self, options: ReplicaOptions, arms: Mapping[str, Handle]) -> None:
        super().__init__(options, start_scaler, self.predict)
        self._arms = {
            arm: RpcClient(handle, "predict", is_direct=options.bind_address is not None)
            for arm, handle in arms.items()
        }

    async def predict(self, batch: RawBatch) -> PredictedMessage:
        """Scale a batch, and return the predictions of its arm.

        Raises:
            CallFailed: the arm has no answer; the message says why.
            BundleError, OSError: the version cannot be loaded here.
        """
        called = self.tracing.called("scaler", batch.trace, arm=batch.arm, rows=len(batch.raw))
        with self.in_flight, called as trace:
            with self.tracing.step("scale", trace):
                scaled = replace(await self._scale(batch), trace=trace)
            predicted: PredictedMessage = await self._arms[batch.arm](batch.version, scaled, batch.level)
        return predicted

    async def _scale(self, batch: RawBatch) -> ScaledBatch:
        def compute(scaler: ScalerRuntime) -> ScaledBatch:
            scaled = scaler.transform(batch.raw)
            return ScaledBatch(batch.version.bundle, scaled, scaler.outliers.score(scaled.matrix))

        return await self.run(batch.version, len(batch.raw), compute)


def start_scaler(bundle: Bundle) -> ScalerRuntime:
    """Make the runtime of a bundle's scaler, and check it on the golden inputs."""
    runtime = ScalerRuntime(bundle)
    runtime.check_golden()
    runtime.outliers  # noqa: B018 - fitted now, not at the first request
    return runtime
