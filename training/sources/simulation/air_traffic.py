"""Random tracks of what stays in the air: airliners, light aircraft, fast jets, and balloons until they land.

Kinematic: a level speed, a heading and a climb that change now and then, over a spherical Earth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.sources.simulation.atmosphere import density_kgpm3
from training.sources.simulation.sightings import TruePath
from training.sources.simulation.trajectories import EARTH_RADIUS_M

FloatArray = NDArray[np.float64]

_LAG_S = 15.0  # in which an aircraft takes up another climb or turn
_LONGEST_S = 4000


@dataclass(frozen=True)
class _Kind:
    """Ranges of one kind of aircraft: level speed, ceiling, fastest climb and descent."""

    speed_mps: tuple[float, float]
    ceiling_m: float
    climb_mps: float


_AIRCRAFT = (
    (0.50, _Kind((110, 265), 13_000, 18)),
    (0.15, _Kind((30, 110), 5_000, 8)),
    (0.10, _Kind((150, 550), 18_000, 90)),
    # at a gate or on the way to it
    (0.25, _Kind((0, 15), 1, 0)),
)


def aircraft(generator: np.random.Generator) -> TruePath:
    """Simulate an eighth of an hour to an hour of a flight: cruise, climbs, descents, turns, ground."""
    kind = _AIRCRAFT[int(generator.choice(len(_AIRCRAFT), p=[share for share, _ in _AIRCRAFT]))][1]
    time_s = np.arange(float(generator.integers(450, _LONGEST_S)))
    low, high = kind.speed_mps
    climb = _steps(generator, time_s, lambda: _now_and_then(generator, 0.5) * kind.climb_mps / 2)
    climb = np.clip(climb, -kind.climb_mps, kind.climb_mps)
    altitude_m = _within(generator.uniform(0, kind.ceiling_m), climb, kind.ceiling_m)
    # aircraft are slower near the ground
    fast = generator.uniform(low, high) * (0.55 + 0.45 * np.clip(altitude_m / (0.6 * kind.ceiling_m), 0, 1))
    turn = _steps(generator, time_s, lambda: _now_and_then(generator, 0.3) * 0.02)
    return _walk(generator, time_s, fast, generator.uniform(0, 2 * np.pi) + np.cumsum(turn), altitude_m)


def balloon(generator: np.random.Generator) -> TruePath:
    """Up to 20 to 38 km, a burst, and down on a small parachute; or floating at a height."""
    rise_mps, top_m = generator.uniform(2.5, 7), generator.uniform(18e3, 38e3)
    fall_mps = generator.uniform(3, 9)  # at the ground
    start_m = generator.uniform(0, top_m)
    floats = generator.random() < 0.2
    altitude_m, falling = np.empty(_LONGEST_S), generator.random() < 0.4
    now_m = start_m
    for second in range(_LONGEST_S):
        altitude_m[second] = now_m
        falling = falling or (now_m >= top_m and not floats)
        if falling:
            now_m -= fall_mps * np.sqrt(density_kgpm3(0.0) / density_kgpm3(now_m))
        elif now_m < top_m:
            now_m += rise_mps
        now_m = max(now_m, 0.0)
    time_s = np.arange(float(_LONGEST_S))
    wind = _steps(generator, time_s, lambda: abs(generator.normal(0, 14)))
    wind = np.where(altitude_m > 0, wind, 0.0)
    heading = generator.uniform(0, 2 * np.pi) + _steps(generator, time_s, lambda: generator.normal(0, 0.5))
    return _walk(generator, time_s, wind, heading, altitude_m)


def _now_and_then(generator: np.random.Generator, share: float) -> float:
    """Draw a standard normal number in this share of the cases, else 0."""
    return float(generator.normal()) if generator.random() < share else 0.0


def _steps(generator: np.random.Generator, time_s: FloatArray, draw: Callable[[], float]) -> FloatArray:
    """Draw a value that holds for some minutes, then moves to another one, smoothly."""
    changes = np.cumsum(generator.exponential(180, len(time_s) // 30 + 2))
    values = np.array([draw() for _ in range(len(changes) + 1)])
    held = values[np.searchsorted(changes, time_s)]
    weights = np.exp(-np.arange(4 * _LAG_S) / _LAG_S)
    padded = np.concatenate([np.full(len(weights) - 1, held[0]), held])
    return np.asarray(np.convolve(padded, weights / weights.sum(), mode="valid"))


def _within(start_m: float, climb_mps: FloatArray, ceiling_m: float) -> FloatArray:
    """Altitudes of these climbs, held at the ground and at the ceiling."""
    altitude_m = np.empty(len(climb_mps))
    now_m = start_m
    for second, climb in enumerate(climb_mps):
        altitude_m[second] = now_m
        now_m = min(max(now_m + float(climb), 0.0), ceiling_m)
    return altitude_m


def _walk(
    generator: np.random.Generator,
    time_s: FloatArray,
    level_mps: FloatArray,
    heading_rad: FloatArray,
    altitude_m: FloatArray,
) -> TruePath:
    """Positions from speeds and headings, by steps over the sphere that start anywhere but near a pole."""
    latitude = generator.uniform(-55, 55) + np.degrees(
        np.cumsum(level_mps * np.cos(heading_rad)) / EARTH_RADIUS_M
    )
    latitude = np.clip(latitude, -85, 85)
    east = level_mps * np.sin(heading_rad) / np.cos(np.radians(latitude))
    longitude = generator.uniform(-180, 180) + np.degrees(np.cumsum(east) / EARTH_RADIUS_M)
    longitude = (longitude + 180) % 360 - 180
    return TruePath(
        time_s=time_s,
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        speed_mps=np.hypot(level_mps, np.gradient(altitude_m)),
        thrusting=np.zeros(len(time_s), dtype=bool),
        reentry=np.zeros(len(time_s), dtype=bool),
    )
