"""Simulated receivers of vehicles: a sample every 10 s, noise, the last digit, gaps.

ADS-B sends altitudes in steps of 25 ft, velocities in knots and climbs in steps of 64 ft/min (RTCA DO-260B);
receivers stamp positions up to half a second wrong, and hold velocities for some seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SAMPLE_S = 10.0
_ALTITUDE_M = 25 * 0.3048
_KNOT_MPS = 0.514444
_CLIMB_MPS = 64 * 0.3048 / 60
# Shares of tracks without altitude and without velocity, and of samples that are lost.
_NO_ALTITUDE, _NO_VELOCITY, _LOST = 0.13, 0.11, 0.01
_LONGEST_LOSS = 5


@dataclass(frozen=True)
class Heard:
    """The samples of one track: arrays with a row a sample; NaN where nothing was sent."""

    time_s: FloatArray
    local_m: FloatArray
    altitude_m: FloatArray
    groundspeed_mps: FloatArray
    track_deg: FloatArray
    vertical_rate_mps: FloatArray


def receive(
    time_s: FloatArray,
    local_m: FloatArray,
    velocity_mps: FloatArray,
    altitude_m: FloatArray,
    climb_mps: FloatArray,
    random: np.random.Generator,
) -> Heard:
    """Return a track as a receiver records it.

    Args:
        time_s: (n,) of the samples.
        local_m, velocity_mps: (n, 2) east and north.
        altitude_m, climb_mps: (n,).
        random: of this track.
    """
    count = len(time_s)
    stamp_s = np.exp(random.uniform(np.log(0.02), np.log(0.6))) * random.normal(size=(count, 1))
    place = local_m + velocity_mps * stamp_s + random.normal(0, 6.0, size=(count, 2))
    held = max(int(random.integers(-3, 2)), 0)
    velocity = np.round(np.roll(velocity_mps, held, axis=0) / _KNOT_MPS) * _KNOT_MPS
    velocity[:held] = np.nan
    track = np.degrees(np.arctan2(velocity[:, 0], velocity[:, 1])) % 360
    altitude = np.round((altitude_m + random.normal(0, 3.0, count)) / _ALTITUDE_M) * _ALTITUDE_M
    climb = np.round(climb_mps / _CLIMB_MPS) * _CLIMB_MPS
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    altitude = np.where(_absent(random, count, _NO_ALTITUDE), np.nan, altitude)
    silent = _absent(random, count, _NO_VELOCITY)
    speed, track, climb = (np.where(silent, np.nan, values) for values in (speed, track, climb))
    kept = ~_lost(random, count)
    return Heard(*(values[kept] for values in (time_s, place, altitude, speed, track, climb)))


def _absent(random: np.random.Generator, count: int, share: float) -> NDArray[np.bool_]:
    """Return which samples are missing: all of some, and one in fifty of the others."""
    if random.random() < share:
        return np.ones(count, dtype=bool)
    return np.asarray(random.random(count) < 0.02)


def _lost(random: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Gaps of one to a few samples, never the first."""
    lost = np.zeros(count, dtype=bool)
    for start in np.flatnonzero(random.random(count) < _LOST):
        lost[start : start + int(random.integers(1, _LONGEST_LOSS + 1))] = True
    lost[0] = False
    return lost
