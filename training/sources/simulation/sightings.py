"""A simulated sensor of a true path: points seconds apart, with noise, steps, losses and a glow.

Radiometric intensity follows the power that the air takes from a body, half the density times speed cubed
and area, of which a small share is radiated; above it lie the plume of an engine and the noise of the sensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.sources.simulation.atmosphere import density_kgpm3
from training.sources.simulation.trajectories import EARTH_RADIUS_M, Trajectory

FloatArray = NDArray[np.float64]

EDGE_OF_SPACE_M = 100_000.0

_MOST_POINTS = 40
_LONGEST_REST_S = 12
# Slower and lower than this a path ends at rest.
_REST_M, _REST_MPS = 100.0, 30.0
_HIGHEST_AIRCRAFT_M, _HIGHEST_SET_M = 20_000.0, 13_000.0
_METRES_PER_DEGREE = EARTH_RADIUS_M * np.pi / 180


@dataclass(frozen=True)
class TruePath:
    """A way through air and space once a second; arrays (n,).

    Attributes:
        time_s: since its start.
        latitude, longitude: in degrees.
        altitude_m: above the ground.
        speed_mps: relative to the air.
        thrusting: whether an engine burns.
        reentry: whether it is after the greatest altitude and at or below 100 km, on a way from space.
    """

    time_s: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_m: FloatArray
    speed_mps: FloatArray
    thrusting: NDArray[np.bool_]
    reentry: NDArray[np.bool_]


@dataclass(frozen=True)
class Sensor:
    """The properties of a sensor.

    Attributes:
        spacing_s: mean time between points.
        jitter: standard deviation of the spacing, as a share of it.
        lost: share of points that do not arrive.
        level_noise_m, altitude_noise_m: standard deviations.
        altitude_step_m: altitudes are multiples of it (ten times as coarse above 100 km); 0 is exact.
        degree_step: positions are multiples of it; 0 is exact.
        set_altitude: share of points at which a transponder begins to tell the altitude that the autopilot is
            set to, for some points. Aircraft do, nothing else.
        floor: noise of the intensity in W/sr; None without a radiometer.
    """

    spacing_s: float
    jitter: float
    lost: float
    level_noise_m: float
    altitude_noise_m: float
    altitude_step_m: float
    degree_step: float
    set_altitude: float
    floor: float | None


def draw_sensor(generator: np.random.Generator) -> Sensor:
    """Draw a random sensor: a point every 1 to 10 s, from some metres of noise to some hundreds.

    Three in ten pass on what the vehicle itself knows: steps, but no noise.
    """
    spacing_s = float(np.exp(generator.uniform(0, np.log(10))))
    noisy = float(generator.random() >= 0.3)
    return Sensor(
        spacing_s=round(spacing_s) if generator.random() < 0.5 else spacing_s,
        jitter=generator.choice([0.0, 0.1]),
        lost=generator.choice([0.0, generator.uniform(0, 0.2)]),
        level_noise_m=noisy * _log_uniform(generator, 3, 300),
        altitude_noise_m=noisy * _log_uniform(generator, 3, 300),
        altitude_step_m=generator.choice([0.0, 7.62, 100.0], p=[0.4, 0.2, 0.4]),
        degree_step=generator.choice([0.0, 0.0001, 0.001], p=[0.7, 0.2, 0.1]),
        set_altitude=generator.choice([0.0, 0.02, 0.1]),
        floor=_log_uniform(generator, 1, 1000) if generator.random() < 0.5 else None,
    )


def true_path(flight: Trajectory) -> TruePath:
    """Return a flight as latitude, longitude and altitude, with its phases."""
    x, y, z = flight.position_m.T
    altitude_m = flight.altitude_m
    after = np.arange(len(altitude_m)) > int(altitude_m.argmax())
    return TruePath(
        time_s=flight.time_s,
        latitude=np.degrees(np.arctan2(z, np.hypot(x, y))),
        longitude=np.degrees(np.arctan2(y, x)),
        altitude_m=altitude_m,
        speed_mps=flight.speed_mps,
        thrusting=flight.thrusting,
        reentry=after & (altitude_m <= EDGE_OF_SPACE_M),
    )


def with_rests(path: TruePath, generator: np.random.Generator) -> TruePath:
    """Add some seconds on the ground before and after, where the path starts or ends there."""
    resting = (path.altitude_m < _REST_M) & (path.speed_mps < _REST_MPS)
    before, after = (int(generator.integers(0, _LONGEST_REST_S)) * bool(resting[end]) for end in (0, -1))
    at = np.pad(np.arange(len(path.time_s)), (before, after), mode="edge")
    speed_mps = path.speed_mps[at]
    if after:
        speed_mps[-after:] = 0.0
    return TruePath(
        time_s=np.arange(float(len(at))),
        latitude=path.latitude[at],
        longitude=path.longitude[at],
        altitude_m=path.altitude_m[at],
        speed_mps=speed_mps,
        thrusting=path.thrusting[at],
        reentry=path.reentry[at],
    )


def observe(path: TruePath, sensor: Sensor, generator: np.random.Generator) -> pd.DataFrame:
    """Observe a part of the path as at most 40 points, with the columns of a track and `reentry`."""
    times = _times(path, sensor, generator)
    at = np.searchsorted(path.time_s, times).clip(0, len(path.time_s) - 1)
    altitude_m = np.interp(times, path.time_s, path.altitude_m)
    if sensor.set_altitude and path.altitude_m.max() < _HIGHEST_AIRCRAFT_M:
        altitude_m = _with_set_altitudes(altitude_m, sensor, generator)
    latitude = np.interp(times, path.time_s, path.latitude)
    longitude = np.interp(times, path.time_s, np.unwrap(path.longitude, period=360))
    noise = generator.normal(size=(3, len(times)))
    per_degree = sensor.level_noise_m / _METRES_PER_DEGREE
    latitude = latitude + noise[0] * per_degree
    longitude = longitude + noise[1] * per_degree / np.maximum(np.cos(np.radians(latitude)), 0.02)
    if sensor.degree_step:
        latitude, longitude = (
            np.round(values / sensor.degree_step) * sensor.degree_step for values in (latitude, longitude)
        )
    seen_m = altitude_m + noise[2] * sensor.altitude_noise_m
    if sensor.altitude_step_m:
        step_m = sensor.altitude_step_m * np.where(seen_m > EDGE_OF_SPACE_M, 10, 1)
        seen_m = np.round(seen_m / step_m) * step_m
    start_s = float(generator.integers(1_400_000_000, 1_900_000_000))
    return pd.DataFrame(
        {
            "timestamp": np.round(start_s + times, 3),
            "latitude": np.clip(latitude, -90, 90),
            "longitude": (longitude + 180) % 360 - 180,
            "altitude": np.maximum(seen_m, -400.0),
            "radiometric_intensity": _intensity(path, sensor, generator, at),
            "reentry": path.reentry[at],
        }
    )


def _with_set_altitudes(altitude_m: FloatArray, sensor: Sensor, generator: np.random.Generator) -> FloatArray:
    seen_m = altitude_m.copy()
    for start in np.flatnonzero(generator.random(len(seen_m)) < sensor.set_altitude):
        seen_m[start : start + generator.geometric(0.3)] = generator.uniform(0, _HIGHEST_SET_M)
    return seen_m


def _times(path: TruePath, sensor: Sensor, generator: np.random.Generator) -> FloatArray:
    count = int((path.time_s[-1] - path.time_s[0]) / sensor.spacing_s) + 1
    steps = sensor.spacing_s * np.clip(generator.normal(1, sensor.jitter, count), 0.5, 1.5)
    times = path.time_s[0] + np.cumsum(steps) - steps[0] * generator.random()
    times = times[times <= path.time_s[-1]]
    times = times[generator.random(len(times)) >= sensor.lost]
    last_start = max(len(times) - _MOST_POINTS, 0)
    # many sensors stand where things start or land
    starts = [0, last_start, int(generator.integers(0, last_start + 1))]
    first = int(generator.choice(starts, p=[0.1, 0.35, 0.55]))
    return np.asarray(times[first : first + _MOST_POINTS])


def _intensity(
    path: TruePath, sensor: Sensor, generator: np.random.Generator, at: NDArray[np.int64]
) -> FloatArray:
    """Return the radiant intensity in W/sr; NaN without a radiometer."""
    area_m2, share = _log_uniform(generator, 0.5, 30), _log_uniform(generator, 1e-4, 1e-2)
    plume = _log_uniform(generator, 1e4, 1e6)
    if sensor.floor is None:
        return np.full(len(at), np.nan)
    density = np.array([density_kgpm3(float(altitude)) for altitude in path.altitude_m[at]])
    glow = share * 0.5 * density * path.speed_mps[at] ** 3 * area_m2 / (4 * np.pi)
    noise = sensor.floor * np.exp(0.5 * generator.normal(size=len(at)))
    return np.asarray(
        (glow + plume * path.thrusting[at]) * np.exp(0.1 * generator.normal(size=len(at))) + noise
    )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))
