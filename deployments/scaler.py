"""The FeatureScaler: raw windows -> features -> scaled matrix, of the version that the call names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.routing import ArmVersion
from deployments.versioned import ReplicaOptions, VersionedReplica
from training.bundle import Bundle
from training.inference import Scaled, ScalerRuntime


@dataclass(frozen=True)
class ScaledBatch:
    """Scaled rows, the version whose scaler made them, and how far out each lies of its reference (n,)."""

    bundle: str
    scaled: Scaled
    outlier_score: NDArray[np.float64]


class FeatureScaler(VersionedReplica[ScalerRuntime]):
    """Replicated; holds the scalers of every arm."""

    def __init__(self, options: ReplicaOptions) -> None:
        super().__init__(options, start_scaler)

    async def transform(self, version: ArmVersion, raw: NDArray[np.float64]) -> ScaledBatch:
        """(n, *raw_shape) -> scaled matrix (n, features) with its anchors and outlier scores."""

        def compute(scaler: ScalerRuntime) -> ScaledBatch:
            scaled = scaler.transform(raw)
            return ScaledBatch(version.bundle, scaled, scaler.outliers.score(scaled.matrix))

        return await self.run(version, len(raw), compute)


def start_scaler(bundle: Bundle) -> ScalerRuntime:
    """The runtime of a bundle's scaler, proven on the golden inputs."""
    runtime = ScalerRuntime(bundle)
    runtime.check_golden()
    runtime.outliers  # noqa: B018 - fitted now, not at the first request
    return runtime
