"""The messages between the Router, the FeatureScaler and the arms: rows for one version of one arm.

Pickled, an array is its bytes here: NumPy's own way, and one more class for each part, take twice as long for
a few rows. An unpickled array cannot be written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.domain.routing import ArmVersion
from training.runtime.inference import Scaled
from training.runtime.tasks.base import Predicted

# bytes, dtype, shape
_Packed = tuple[bytes, str, tuple[int, ...]]


@dataclass(frozen=True)
class RawBatch:
    """Raw instances (n, *raw_shape) for a version of an arm.

    Attributes:
        level: coverage at which regions are made; None for the nominal one of the bundle.
        trace: `traceparent` of the call; None where nobody traces it.
    """

    arm: str
    version: ArmVersion
    raw: NDArray[np.float64]
    level: float | None = None
    trace: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _raw_batch, (self.arm, self.version, _packed(self.raw), self.level, self.trace)


@dataclass(frozen=True)
class ScaledBatch:
    """Scaled rows, the bundle whose scaler made them, and the outlier score of each row (n,).

    Attributes:
        trace: as that of `RawBatch`, of the scaler's part.
    """

    bundle: str
    scaled: Scaled
    outlier_score: NDArray[np.float64]
    trace: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        matrix, anchors = _packed(self.scaled.matrix), _packed(self.scaled.anchors)
        return _scaled_batch, (self.bundle, matrix, anchors, _packed(self.outlier_score), self.trace)


@dataclass(frozen=True)
class PredictedMessage:
    """The answer of an arm on the wire: arrays, their bundle, nominal coverage, and outlier scores (n,)."""

    bundle: str
    predicted: Predicted
    coverage: float
    outlier_score: NDArray[np.float64]

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = {name: _packed(array) for name, array in self.predicted.arrays.items()}
        return _predicted_message, (self.bundle, arrays, self.coverage, _packed(self.outlier_score))


def _packed(array: NDArray[Any]) -> _Packed:
    return array.tobytes(), array.dtype.str, array.shape


def _unpacked(packed: _Packed) -> NDArray[Any]:
    content, dtype, shape = packed
    return np.frombuffer(content, dtype).reshape(shape)


def _raw_batch(
    arm: str, version: ArmVersion, raw: _Packed, level: float | None, trace: str | None
) -> RawBatch:
    return RawBatch(arm, version, _unpacked(raw), level, trace)


def _scaled_batch(
    bundle: str, matrix: _Packed, anchors: _Packed, outlier_score: _Packed, trace: str | None
) -> ScaledBatch:
    scaled = Scaled(_unpacked(matrix), _unpacked(anchors))
    return ScaledBatch(bundle, scaled, _unpacked(outlier_score), trace)


def _predicted_message(
    bundle: str, arrays: dict[str, _Packed], coverage: float, outlier_score: _Packed
) -> PredictedMessage:
    predicted = Predicted({name: _unpacked(packed) for name, packed in arrays.items()})
    return PredictedMessage(bundle, predicted, coverage, _unpacked(outlier_score))
