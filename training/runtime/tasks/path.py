"""Paths: places at several times, each with the radius of a circle around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from features.scaling import Moments, StandardScaler
from features.sphere import great_circle_m, mean_position
from features.targets import ALTITUDE, LATITUDE, LONGITUDE, PathTarget
from features.workload import Workload, transform_of
from training.runtime.tasks.base import ArmAnswer, Calibration, Kind, Predicted
from training.runtime.tasks.intervals import IntervalCalibration, calibrate

FloatArray = NDArray[np.float64]

_LOWEST_M, _HIGHEST_M = -1000.0, 100_000_000.0


class PathCalibration(Calibration):
    """The radius in metres at each horizon, see `IntervalCalibration`."""

    model_config = ConfigDict(frozen=True)

    horizons: tuple[IntervalCalibration, ...]


class PathTask:
    """The `training.runtime.tasks.base.Task`.

    Arrays: `position` (n, horizons, 3), latitude and longitude in degrees and altitude in metres;
    `radius_m` (n, horizons), of the circle on the ground that holds the truth so often.
    """

    kind: Kind = "numbers"

    def __init__(self, target: PathTarget, workload: Workload) -> None:
        self._target = target
        self._transform = transform_of(workload)
        names = getattr(workload, "output_names", None)
        if not names:
            raise TypeError(f"{type(workload).__name__}: has no output_names, expected for a path")
        self.output_names: tuple[str, ...] = tuple(names)
        groups: tuple[tuple[str, ...], ...] = getattr(workload, "output_groups", ())
        self.groups = tuple(tuple(names.index(name) for name in group) for group in groups)

    def encode(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Encode truths; see `Task.encode`."""
        return self._transform.encode_target(target, anchors)

    def fit_target_scaler(self, encoded: FloatArray) -> StandardScaler:
        """Fit each output to the rows where it is known; a group's to the root mean square of them."""
        columns = [column[np.isfinite(column)][:, None] for column in encoded.T]
        fits = [
            StandardScaler.fit([name], [Moments.of(column)])
            for name, column in zip(self.output_names, columns, strict=True)
        ]
        scale = np.array([fit.scale[0] for fit in fits])
        for group in self.groups:
            scale[list(group)] = np.sqrt(np.square(scale[list(group)]).mean())
        return StandardScaler(
            names=self.output_names,
            mean=tuple(fit.mean[0] for fit in fits),
            scale=tuple(scale.tolist()),
            count=min(fit.count for fit in fits),
        )

    def uncalibrated(self, coverage: float) -> PathCalibration:
        """Return a calibration without data; see `Task.uncalibrated`."""
        unknown = IntervalCalibration.unknown(coverage)
        return PathCalibration(coverage=coverage, horizons=(unknown,) * len(self._target.horizons_s))

    def calibrate(
        self,
        outputs: FloatArray,
        target: FloatArray,
        anchors: FloatArray,
        coverage: float,
        group: NDArray[np.int64] | None = None,
    ) -> PathCalibration:
        """Fit the great-circle error at each horizon, along the workload's variable; see `Task.calibrate`."""
        position, variable = self._decode(outputs, anchors), self._transform.interval_scale(anchors)
        error_m = great_circle_m(position[..., :2], target[..., :2])
        found = []
        for column in error_m.T:
            known = np.isfinite(column)
            groups = None if group is None else group[known]
            found.append(calibrate(variable[known], column[known], coverage, group=groups))
        return PathCalibration(coverage=coverage, horizons=tuple(found))

    def predict(
        self,
        outputs: FloatArray,
        anchors: FloatArray,
        calibration: Calibration,
        coverage: float | None = None,
    ) -> Predicted:
        """Predict; see `Task.predict`."""
        assert isinstance(calibration, PathCalibration)
        variable = self._transform.interval_scale(anchors)
        radii = [one.half_width(variable, coverage) for one in calibration.horizons]
        return Predicted({"position": self._decode(outputs, anchors), "radius_m": np.stack(radii, axis=1)})

    def tolerances(self, predicted: Predicted) -> Mapping[str, FloatArray]:
        """Return a degree, and for altitudes and radii the largest of the row."""
        position, radius_m = predicted["position"], predicted["radius_m"]
        scale = np.ones_like(position)
        scale[..., 2] = np.maximum(np.abs(position[..., 2]).max(axis=1, keepdims=True), 1000.0)
        return {"position": scale, "radius_m": radius_m.max(axis=1, keepdims=True) + np.zeros_like(radius_m)}

    def answers(self, predicted: Predicted, coverage: float) -> list[ArmAnswer]:
        """Return an answer a row; see `Task.answers`."""
        places, radii = predicted["position"].tolist(), predicted["radius_m"].tolist()
        return [
            ArmAnswer({self._target.name: self._points(place, radius)}, {}, coverage)
            for place, radius in zip(places, radii, strict=True)
        ]

    def to_arrays(self, answer: ArmAnswer) -> dict[str, FloatArray]:
        """Return an answer as arrays; see `Task.to_arrays`."""
        points = answer.prediction[self._target.name]
        return {
            "position": np.array([[point[LATITUDE], point[LONGITUDE], point[ALTITUDE]] for point in points]),
            "radius_m": np.array([point["radius_m"] for point in points]),
        }

    def error(self, answer: ArmAnswer, truth: FloatArray) -> float:
        """Return the mean great-circle distance in m over the horizons that are known."""
        error_m = great_circle_m(self.to_arrays(answer)["position"][:, :2], truth[:, :2])
        known = np.isfinite(error_m)
        return float(error_m[known].mean()) if known.any() else np.nan

    def blend(self, parts: Sequence[Predicted], weights: FloatArray) -> Predicted:
        """Return the middle of the places on the sphere, and the mean of altitudes and radii."""
        position = mean_position([part["position"] for part in parts], weights)
        radius_m = np.tensordot(weights, np.stack([part["radius_m"] for part in parts]), axes=1)
        return Predicted({"position": position, "radius_m": radius_m})

    def _points(self, place: list[list[float]], radius_m: list[float]) -> list[dict[str, Any]]:
        return [
            {
                "time_s": time_s,
                LATITUDE: latitude,
                LONGITUDE: longitude,
                ALTITUDE: altitude,
                "radius_m": radius,
            }
            for time_s, (latitude, longitude, altitude), radius in zip(
                self._target.horizons_s, place, radius_m, strict=True
            )
        ]

    def _decode(self, outputs: FloatArray, anchors: FloatArray) -> FloatArray:
        position = np.array(self._transform.decode_target(outputs, anchors))
        position[..., 2] = np.clip(position[..., 2], _LOWEST_M, _HIGHEST_M)
        return position
