"""A path over the ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ConfigDict, Field, create_model, model_validator

from features.targets.base import BaseTarget, FloatArray, TaskName, object_schema

LATITUDE, LONGITUDE, ALTITUDE = "latitude", "longitude", "altitude_m"
COORDINATES: tuple[tuple[str, str, float, float], ...] = (
    (LATITUDE, "deg", -90.0, 90.0),
    (LONGITUDE, "deg", -180.0, 180.0),
    (ALTITUDE, "m", -1000.0, 100_000_000.0),
)


class PathTarget(BaseTarget):
    """A target that is places at some times after the last sample. Its array is (n, horizons, 3).

    The last axis is latitude and longitude in degrees (WGS 84) and altitude in metres, NaN where not known;
    the altitude may be unknown alone.
    """

    horizons_s: tuple[float, ...] = Field(min_length=1, description="seconds after the last sample")
    metric: Literal["mean_error_m"] = Field(
        default="mean_error_m", description="error that models are compared by"
    )

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        times = (0.0, *self.horizons_s)
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"horizons_s: got {list(self.horizons_s)}, expected increasing times above 0")
        return self

    @property
    def task(self) -> TaskName:
        """Return what kind of prediction this is."""
        return "path"

    @property
    def unit(self) -> str:
        """Return the unit of the error."""
        return "m"

    @property
    def range_text(self) -> str:
        """Return what is allowed in words, for errors and documentation."""
        times = ", ".join(f"{time:g}" for time in self.horizons_s)
        return f"a list of points, each with a time_s of {times} (once), {LATITUDE}, {LONGITUDE}"

    def columns(self, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the columns; see `TargetSpec.columns`; a triple each horizon."""
        return tuple(f"{name}_in_{time:g}_s" for time in self.horizons_s for name, *_ in COORDINATES)

    def of_columns(self, columns: Sequence[NDArray[Any]]) -> FloatArray:
        """Return truths from columns; see `TargetSpec.of_columns`."""
        table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
        return table.reshape(len(table), len(self.horizons_s), len(COORDINATES))

    def truth_type(self) -> Any:
        """Return the type of a truth: any of the horizons, each at most once; see `TargetSpec.truth_type`."""
        times = Field(strict=True, json_schema_extra={"enum": list(self.horizons_s)})
        members: dict[str, Any] = {
            "time_s": (
                Annotated[float, times, AfterValidator(self._check_horizon)],
                Field(description="s after the last sample"),
            )
        }
        for name, unit, low, high in COORDINATES:
            number: Any = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=low, le=high)]
            if name == ALTITUDE:
                members[name] = (number | None, Field(default=None, description=f"in {unit}"))
            else:
                members[name] = (number, Field(description=f"in {unit}"))
        point: Any = create_model("point", __config__=ConfigDict(extra="forbid", frozen=True), **members)
        limits = Field(min_length=1, max_length=len(self.horizons_s))
        return Annotated[list[point], limits, AfterValidator(_check_unrepeated)]

    def to_json(self, truth: FloatArray) -> Any:
        """Return a truth as JSON; see `TargetSpec.to_json`; a list of the points that are known."""
        points = []
        for time_s, place in zip(self.horizons_s, truth.tolist(), strict=True):
            values = {name: value for (name, *_), value in zip(COORDINATES, place, strict=True)}
            known = {name: value for name, value in values.items() if np.isfinite(value)}
            if LATITUDE in known and LONGITUDE in known:
                points.append({"time_s": time_s, **known})
        return points or None

    def of_json(self, truth: Any) -> FloatArray:
        """Return a truth from JSON; see `TargetSpec.of_json`."""
        found = np.full((len(self.horizons_s), len(COORDINATES)), np.nan)
        for point in truth or ():
            found[self.horizons_s.index(point["time_s"])] = [
                np.nan if point.get(name) is None else point[name] for name, *_ in COORDINATES
            ]
        return found

    @property
    def example_truth(self) -> Any:
        """Return a truth for documentation."""
        return [{"time_s": self.horizons_s[0], LATITUDE: 47.5, LONGITUDE: 8.5, ALTITUDE: 10_000.0}]

    def truth_like(self, prediction: Mapping[str, Any]) -> Any:
        """Return a truth like a prediction; see `TargetSpec.truth_like`."""
        kept = ("time_s", *(name for name, *_ in COORDINATES))
        return [{name: point[name] for name in kept} for point in prediction[self.name]]

    @property
    def region(self) -> str:
        """Return the name of the region; see `TargetSpec.region`: each point has a radius."""
        return ""

    def answer_schema(self) -> dict[str, dict[str, Any]]:
        """Return the schema of an answer; see `TargetSpec.answer_schema`."""
        times = {"type": "number", "enum": list(self.horizons_s), "description": "s after the last sample"}
        numbers = {name: {"type": "number", "description": f"in {unit}"} for name, unit, *_ in COORDINATES}
        radius = {"type": "number", "description": "m on the ground around it, where the truth is so often"}
        point = object_schema({"time_s": times, **numbers, "radius_m": radius})
        return {"prediction": object_schema({self.name: {"type": "array", "items": point}})}

    def _check_horizon(self, time_s: float) -> float:
        if time_s not in self.horizons_s:
            raise ValueError("no such time")
        return time_s


def _check_unrepeated(points: list[Any]) -> list[Any]:
    if len({point.time_s for point in points}) != len(points):
        raise ValueError("a time is there twice")
    return points
