"""What passes between the Router, the FeatureScaler and the arms: rows of one version of one arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.routing import ArmVersion
from training.inference import Scaled
from training.tasks.base import Predicted


@dataclass(frozen=True)
class RawBatch:
    """Raw instances (n, *raw_shape), and of whom what is asked about them.

    Attributes:
        level: coverage at which regions are made; None for the nominal one of the bundle.
        trace: `traceparent` of the call; None where nobody traces it.
    """

    arm: str
    version: ArmVersion
    raw: NDArray[np.float64]
    level: float | None = None
    trace: str | None = None


@dataclass(frozen=True)
class ScaledBatch:
    """Scaled rows, the version whose scaler made them, and how far out each lies of its reference (n,).

    Attributes:
        trace: as that of `RawBatch`, of the scaler's part.
    """

    bundle: str
    scaled: Scaled
    outlier_score: NDArray[np.float64]
    trace: str | None = None


@dataclass(frozen=True)
class PredictedBatch:
    """Predictions, the version that made them, the nominal coverage of their regions, outlier scores (n,)."""

    bundle: str
    predicted: Predicted
    coverage: float
    outlier_score: NDArray[np.float64]
