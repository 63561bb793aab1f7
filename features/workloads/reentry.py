"""Features of a re-entry: a track's last ten points, 1 to 10 s apart.

Every rate is the slope of a least-squares line over several points, so that one coarse altitude or position
does not make a speed: at each point over the five up to it, and once over the whole window. Positions are
vectors from the centre of the Earth, so that poles, the date line and eight kilometres a second are nothing
special.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0
GRAVITY_MPS2 = 9.80665
# Where space begins; a re-entry is at or below it.
EDGE_M = 100_000.0

_TIME, _LATITUDE, _LONGITUDE, _ALTITUDE, _INTENSITY, _RATE = 0, 1, 2, 3, 4, -1
# Points that a slope at one point is fitted to.
_TRAIL = 5
_SMALLEST_VARIANCE_S2, _SMALLEST_SPAN_S = 1e-12, 1e-6

_FEATURES = (
    "above_edge",  # altitude above 100 km, in tens of km, squashed
    "near_edge",  # the same in km, up to +-5
    "below_edge",  # 1 at or below 100 km
    "log_altitude",
    "climb",  # upward velocity at this point, in units of 10 m/s, squashed
    "log_level_speed",
    "log_speed",
    "acceleration_up",  # in units of 1 m/s2, squashed
    "acceleration_along",
    "log_distance",  # from the first point of the window
    "log_intensity",
    "intensity_rate",  # of its logarithm, per s, squashed
    "log_step",  # s since the point before
    # of the whole window, the same at each step
    "window_low_and_falling",  # 1 where it falls and ends at or below 100 km
    "window_climb",
    "window_median_climb",  # of all pairs of points: some wrong altitudes do not move it
    "window_log_level_speed",
    "window_acceleration_up",
    "window_acceleration_along",
    "window_log_roughness",  # of the altitude about its line
    "window_log_median_change",  # of the altitude from point to point: small where only some are wrong
    "window_log_energy_height",  # altitude plus that which the speed is worth
    "window_log_rate",
)


class ReentryWorkload:
    """The `features.workload.Workload` of reentry, a classification."""

    feature_names = _FEATURES
    anchor_names = ()

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, 10, 6) -> (n, 10, 23)."""
        raw = np.asarray(raw, dtype=np.float64)
        time_s = raw[:, :, _TIME] - raw[:, -1:, _TIME]
        altitude, glow = raw[:, :, _ALTITUDE], np.log1p(raw[:, :, _INTENSITY])
        place = _positions(raw[:, :, _LATITUDE], raw[:, :, _LONGITUDE], altitude)
        state = np.concatenate([place, altitude[:, :, None], glow[:, :, None]], axis=2)
        slopes = _trailing_slopes(time_s, state)
        speed, climb, level = _speeds(slopes)
        upward, along = (_trailing_slopes(time_s, v[:, :, None])[:, :, 0] for v in (climb, speed))
        steps_s = np.diff(time_s, axis=1, prepend=2 * time_s[:, :1] - time_s[:, 1:2])
        each = (
            np.arcsinh((altitude - EDGE_M) / 1e4),
            np.clip((altitude - EDGE_M) / 1e3, -5, 5),
            (altitude <= EDGE_M).astype(np.float64),
            np.log(np.maximum(altitude, 0) + 100),
            np.arcsinh(climb / 10),
            np.log(level + 10),
            np.log(speed + 10),
            np.arcsinh(upward),
            np.arcsinh(along),
            np.log(np.linalg.norm(place - place[:, :1], axis=2) + 100),
            glow,
            np.arcsinh(10 * slopes[:, :, 4]),
            np.log(np.clip(steps_s, 1e-3, None)),
        )
        whole = _of_window(time_s, state, climb, speed)
        whole = (*whole, np.log(np.clip(raw[:, -1, _RATE], 1e-3, 1e3)))
        return np.stack([*each, *(np.broadcast_to(w[:, None], time_s.shape) for w in whole)], axis=2)

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """`altitude_threshold`: sure of a re-entry where the window falls and ends at or below 100 km."""
        falling = features[:, -1, _FEATURES.index("window_low_and_falling")]
        return {"altitude_threshold": np.column_stack([1 - falling, falling])}


def _positions(latitude: FloatArray, longitude: FloatArray, altitude_m: FloatArray) -> FloatArray:
    """(n, steps, 3) in m from the centre of a spherical Earth."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=2)
    return np.asarray((EARTH_RADIUS_M + altitude_m)[:, :, None] * unit)


def _speeds(slopes: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Speed, upward speed and level speed in m/s of slopes of position and altitude, (..., 5)."""
    speed, climb = np.linalg.norm(slopes[..., :3], axis=-1), slopes[..., 3]
    return speed, climb, np.sqrt(np.maximum(speed**2 - climb**2, 0))


def _of_window(
    time_s: FloatArray, state: FloatArray, climb: FloatArray, speed: FloatArray
) -> tuple[FloatArray, ...]:
    """Return the features of the whole window but the last, (n,) each."""
    slopes = _slopes(time_s, state)
    mean_speed, mean_climb, level = _speeds(slopes)
    altitude = state[:, :, 3]
    centred_s = time_s - time_s.mean(axis=1, keepdims=True)
    misfit = altitude - altitude.mean(axis=1, keepdims=True) - mean_climb[:, None] * centred_s
    changes = _slopes(time_s, np.stack([climb, speed], axis=2))
    energy_m = np.maximum(altitude[:, -1], 0) + mean_speed**2 / (2 * GRAVITY_MPS2)
    return (
        ((altitude[:, -1] <= EDGE_M) & (mean_climb < 0)).astype(np.float64),
        np.arcsinh(mean_climb / 10),
        np.arcsinh(_median_slope(time_s, altitude) / 10),
        np.log(level + 10),
        np.arcsinh(changes[:, 0]),
        np.arcsinh(changes[:, 1]),
        np.log(np.sqrt(np.mean(misfit**2, axis=1)) + 1),
        np.log(np.median(np.abs(np.diff(altitude, axis=1)), axis=1) + 1),
        np.log(energy_m + 100),
    )


def _median_slope(time_s: FloatArray, values: FloatArray) -> FloatArray:
    """(n,) slopes after Theil (1950) and Sen (1968, doi:10.1080/01621459.1968.10480934)."""
    first, second = np.triu_indices(time_s.shape[1], 1)
    spans_s = np.maximum(time_s[:, second] - time_s[:, first], _SMALLEST_SPAN_S)
    return np.asarray(np.median((values[:, second] - values[:, first]) / spans_s, axis=1))


def _trailing_slopes(time_s: FloatArray, values: FloatArray) -> FloatArray:
    """(n, steps, columns): the slope over the points up to each step; at the first step that of the next."""
    found = [
        _slopes(time_s[:, max(0, stop - _TRAIL) : stop], values[:, max(0, stop - _TRAIL) : stop])
        for stop in range(2, time_s.shape[1] + 1)
    ]
    return np.stack([found[0], *found], axis=1)


def _slopes(time_s: FloatArray, values: FloatArray) -> FloatArray:
    """(n, columns): least-squares slopes of (n, points, columns) over (n, points)."""
    centred_s = time_s - time_s.mean(axis=1, keepdims=True)
    variance = np.maximum((centred_s**2).sum(axis=1), _SMALLEST_VARIANCE_S2)
    # from the last value: small numbers keep their digits
    above = values - values[:, -1:]
    return np.asarray((centred_s[:, :, None] * above).sum(axis=1) / variance[:, None])


WORKLOAD = ReentryWorkload()
