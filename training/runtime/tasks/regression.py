"""Regression: a number with a band around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features.scaling import Moments, StandardScaler
from features.targets import TargetSpec
from features.workload import Workload, transform_of
from training.runtime.tasks.base import ArmAnswer, Calibration, Kind, Predicted
from training.runtime.tasks.intervals import IntervalCalibration, calibrate

FloatArray = NDArray[np.float64]


class RegressionTask:
    """The `training.runtime.tasks.base.Task` of numbers.

    Arrays: `prediction`, `lower`, `upper`, (n,) in the target's unit.
    """

    kind: Kind = "numbers"
    groups: tuple[tuple[int, ...], ...] = ()

    def __init__(self, target: TargetSpec, workload: Workload) -> None:
        self.target = target
        self._transform = transform_of(workload)
        self.output_names: tuple[str, ...] = (target.name,)

    def encode(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Encode truths; see `Task.encode`."""
        return self._transform.encode_target(target, anchors)[:, None]

    def fit_target_scaler(self, encoded: FloatArray) -> StandardScaler:
        """Fit the scaling of the target; see `Task.fit_target_scaler`."""
        return StandardScaler.fit(self.output_names, [Moments.of(encoded)])

    def uncalibrated(self, coverage: float) -> IntervalCalibration:
        """Return a calibration without data; see `Task.uncalibrated`."""
        return IntervalCalibration.unknown(coverage)

    def calibrate(
        self,
        outputs: FloatArray,
        target: FloatArray,
        anchors: FloatArray,
        coverage: float,
        group: NDArray[np.int64] | None = None,
    ) -> IntervalCalibration:
        """Calibrate regions; see `calibrate`; along the workload's variable, in encoded units."""
        residual = self.encode(target, anchors) - outputs
        return calibrate(self._transform.interval_scale(anchors), residual[:, 0], coverage, group=group)

    def predict(
        self,
        outputs: FloatArray,
        anchors: FloatArray,
        calibration: Calibration,
        coverage: float | None = None,
    ) -> Predicted:
        """Predict; see `Task.predict`. A band is decoded end by end: `decode_target` is non-decreasing."""
        assert isinstance(calibration, IntervalCalibration)
        encoded = outputs[:, 0]
        half = calibration.half_width(self._transform.interval_scale(anchors), coverage)
        return Predicted(
            {
                "prediction": self._decode(encoded, anchors),
                "lower": self._decode(encoded - half, anchors),
                "upper": self._decode(encoded + half, anchors),
            }
        )

    def tolerances(self, predicted: Predicted) -> Mapping[str, FloatArray]:
        """Return one tolerance for the row: an end of a band may be near 0 while the prediction is not."""
        scale = np.maximum(np.abs(predicted["lower"]), np.abs(predicted["upper"]))
        return dict.fromkeys(predicted.arrays, scale)

    def answers(self, predicted: Predicted, coverage: float) -> list[ArmAnswer]:
        """Return an answer a row; see `Task.answers`."""
        name = self.target.name
        columns = (predicted[key].tolist() for key in ("prediction", "lower", "upper"))
        return [
            ArmAnswer({name: value}, {name: [lower, upper]}, coverage)
            for value, lower, upper in zip(*columns, strict=True)
        ]

    def to_arrays(self, answer: ArmAnswer) -> dict[str, FloatArray]:
        """Return an answer as arrays; see `Task.to_arrays`."""
        name = self.target.name
        lower, upper = answer.region[name]
        values = {"prediction": answer.prediction[name], "lower": lower, "upper": upper}
        return {key: np.asarray(value, dtype=np.float64) for key, value in values.items()}

    def error(self, answer: ArmAnswer, truth: FloatArray) -> float:
        """Return the absolute error, in the target's unit."""
        return abs(float(answer.prediction[self.target.name]) - float(truth))

    def blend(self, parts: Sequence[Predicted], weights: FloatArray) -> Predicted:
        """Values and ends alike."""
        return Predicted({name: _mean([part[name] for part in parts], weights) for name in parts[0].arrays})

    def _decode(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        value = self._transform.decode_target(encoded, anchors)
        # of a few values numpy.clip takes twice as long
        return np.asarray(np.minimum(np.maximum(value, self.target.minimum), self.target.maximum))


def _mean(arrays: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    return np.asarray(np.tensordot(weights, np.stack(arrays), axes=1))
