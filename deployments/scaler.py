"""The FeatureScaler: raw windows -> features -> scaled matrix, of the version asked for; then its arm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from deployments.batches import Failed, PredictedBatch, RawBatch, ScaledBatch
from deployments.handles import Handle, method_of, reason_of
from deployments.joint_calls import as_they_come
from deployments.versioned import ReplicaOptions, VersionedReplica
from training.bundle import Bundle
from training.inference import ScalerRuntime

# Answers of arms that come within it are one message: on few cores they come one after the other.
GRACE_S = 0.005


class FeatureScaler(VersionedReplica[ScalerRuntime]):
    """Replicated; holds the scalers of every arm, and has the arms predict what it scaled.

    Args:
        options: where the bundles are.
        arms: by name.
    """

    def __init__(self, options: ReplicaOptions, arms: Mapping[str, Handle]) -> None:
        super().__init__(options, start_scaler)
        self._arms = {arm: method_of(handle, "predict") for arm, handle in arms.items()}

    async def predict(self, batch: RawBatch) -> PredictedBatch | Failed:
        """What the arm says about a batch, or why it says nothing."""
        try:
            with self.tracing.called("scaler", batch.trace, arm=batch.arm, rows=len(batch.raw)) as trace:
                with self.tracing.step("scale", trace):
                    scaled = replace(await self._scale(batch), trace=trace)
                answer = self._arms[batch.arm].remote(batch.version, scaled, batch.level)
                predicted: PredictedBatch = await answer
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return Failed("the replica was stopped")
        except Exception as error:  # noqa: BLE001 - Ray raises what the callee raised, mixed with its own types
            return Failed(reason_of(error))
        return predicted

    async def predict_each(
        self, batches: Sequence[RawBatch]
    ) -> AsyncGenerator[dict[int, PredictedBatch | Failed]]:
        """The same for several batches, by place; what an arm says does not wait for one that is slow."""
        async with aclosing(as_they_come([self.predict(batch) for batch in batches], GRACE_S)) as pieces:
            async for answers in pieces:
                yield answers

    async def _scale(self, batch: RawBatch) -> ScaledBatch:
        def compute(scaler: ScalerRuntime) -> ScaledBatch:
            scaled = scaler.transform(batch.raw)
            return ScaledBatch(batch.version.bundle, scaled, scaler.outliers.score(scaled.matrix))

        return await self.run(batch.version, len(batch.raw), compute)


def start_scaler(bundle: Bundle) -> ScalerRuntime:
    """The runtime of a bundle's scaler, proven on the golden inputs."""
    runtime = ScalerRuntime(bundle)
    runtime.check_golden()
    runtime.outliers  # noqa: B018 - fitted now, not at the first request
    return runtime
