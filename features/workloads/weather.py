"""Temperature one hour ahead from the last hours of a weather station.

A model sees the hours as a sequence and learns the change of temperature over the coming hour, so that what
it adds to is the last temperature measured. Hour and season come from the time, which is Unix time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DAY_S = 86_400.0
# Mean Gregorian year; Unix time 0 is the start of one.
YEAR_S = 365.2425 * DAY_S
AHEAD_S = 3600.0

_TIME, _TEMPERATURE, _WIND, _PRESSURE = 0, 1, 2, 3

_FEATURES = (
    "temperature_c",
    "temperature_since_c",  # less the last one
    "windspeed_mps",
    "pressure_hpa",
    "pressure_since_hpa",  # less the last one
    "hour_sin",
    "hour_cos",
    "season_sin",
    "season_cos",
    "unrest_c",  # root mean square of the changes from step to step, in the whole window
)


class WeatherWorkload:
    """The `features.workload.Workload` of weather."""

    feature_names = _FEATURES
    anchor_names = ("temperature_c", "unrest_c")

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, steps, 5) -> (n, steps, 10)."""
        raw = np.asarray(raw, dtype=np.float64)
        time_s, temperature, pressure = raw[:, :, _TIME], raw[:, :, _TEMPERATURE], raw[:, :, _PRESSURE]
        changes = np.diff(temperature, axis=1)
        unrest = np.sqrt(np.mean(changes**2, axis=1, keepdims=True))
        columns = (
            temperature,
            temperature - temperature[:, -1:],
            raw[:, :, _WIND],
            pressure,
            pressure - pressure[:, -1:],
            *_circle(time_s / DAY_S),
            *_circle(time_s / YEAR_S),
            np.broadcast_to(unrest, temperature.shape),
        )
        return np.stack(columns, axis=2)

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Return the change over the coming hour in K."""
        return np.asarray(target - anchors[:, 0])

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Temperature in an hour, in deg C."""
        return np.asarray(encoded + anchors[:, 0])

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """Return how much the temperature changed from hour to hour: restless hours are harder to predict."""
        return anchors[:, 1]

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """Return `persistence`: no change. The seasonal one is fitted: `training.baselines.harmonic`."""
        return {"persistence": features[:, -1, 0]}


def _circle(turns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sine and cosine of a number of turns; whole turns are taken off first, which keeps the digits."""
    angle = 2 * np.pi * (turns % 1.0)
    return np.sin(angle), np.cos(angle)


WORKLOAD = WeatherWorkload()
