"""Apogee of a rocket from 2.5 s of altitude.

Everything is derived from the altitude: what loggers call velocity and acceleration ranges from filtered
states to body-axis accelerometers, and a model must not depend on which one it gets. The window is fitted
with polynomials, the fit gives height, speed and drag at its end, and the drag-coast estimate of the height
still to climb follows. A model then learns the logarithm of the true height still to climb over that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
# Density of the air falls by e over this height (standard atmosphere, mean of the lowest 6 km).
SCALE_HEIGHT_M = 9300.0
SPEED_OF_SOUND_MPS = 335.0

_TIME, _ALTITUDE, _RATE = 0, 1, -1
# Added to both heights of the learnt ratio, so that noise near apogee does not blow it up.
_FLOOR_M = 2.0
_MAX_LOG_RATIO = 2.5
_MIN_SPEED_MPS = 0.5
_MIN_RESIDUAL_M = 1e-3

_FEATURES = (
    "altitude_m",  # at the end of the window, from the quadratic fit
    "climb_m",  # drag-coast estimate of the height still to climb
    "ballistic_climb_m",
    "log_noise_ratio",  # residuals of the fit over the height still to climb
    "log_climb",
    "log_speed",
    "log_altitude",
    "drag_ratio",  # deceleration by drag over gravity, squashed
    "deceleration_g",
    "end_deceleration_g",
    "jerk_mismatch",  # of the cubic fit against the jerk that the drag implies, in g per window
    "speed_mismatch",  # end speeds of the two fits
    "mach",
    "mean_speed_ratio",  # log of altitude over time in flight and speed
    "log_time",
    "time_left_ratio",  # log of the coast time left over the time in flight
    "gain_ratio",  # log of the height still to climb over altitude
    "log_residual",
    "log_roughness",
    "log_rate",
)


@dataclass(frozen=True)
class _Fit:
    """Least-squares polynomials of each window. Arrays (n,), in m and s.

    `speed` and `acceleration` are the quadratic's, the latter constant over the window; `cubic_*` are the
    cubic's at the end; `mid_speed` is at the middle, where the quadratic is unbiased by jerk.
    """

    height: FloatArray
    speed: FloatArray
    mid_speed: FloatArray
    acceleration: FloatArray
    cubic_speed: FloatArray
    cubic_acceleration: FloatArray
    jerk: FloatArray
    residual: FloatArray
    roughness: FloatArray


class ApogeeWorkload:
    """The `features.workload.Workload` of apogee."""

    feature_names = _FEATURES
    anchor_names = ("altitude_m", "climb_m", "time_left_ratio")

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, 50, 8) -> (n, 20). Finite for a boost, a descent, a pad, and for one sample a second."""
        raw = np.asarray(raw, dtype=np.float64)
        time_s = raw[:, :, _TIME]
        fit = _fit(time_s - time_s[:, -1:], raw[:, :, _ALTITUDE])
        since_s = np.maximum(time_s[:, -1], 0.5)
        speed = np.maximum(fit.speed, _MIN_SPEED_MPS)
        drag = _drag_per_m(fit)
        climb = drag_coast_climb_m(speed, drag)
        drag_ratio = drag * speed**2 / GRAVITY_MPS2
        expected_jerk = 2 * drag * fit.mid_speed * np.maximum(-fit.acceleration, 0)
        spread = fit.residual + fit.roughness
        altitude = np.maximum(fit.height, 1.0)
        columns = (
            fit.height,
            climb,
            speed**2 / (2 * GRAVITY_MPS2),
            np.log((spread + 0.02) / (climb + _FLOOR_M)),
            np.log(climb + _FLOOR_M),
            np.log(speed),
            np.log(altitude),
            np.log1p(np.minimum(drag_ratio, 1e3)),
            _squash(-fit.acceleration / GRAVITY_MPS2),
            _squash(-fit.cubic_acceleration / GRAVITY_MPS2),
            _squash((fit.jerk - expected_jerk) / GRAVITY_MPS2),
            np.clip(np.log(np.maximum(fit.cubic_speed, _MIN_SPEED_MPS) / speed), -1, 1),
            speed / SPEED_OF_SOUND_MPS,
            np.clip(np.log(altitude / since_s / speed), -4, 4),
            np.log(since_s),
            np.log(_coast_time_s(speed, drag) / since_s),
            np.clip(np.log((climb + _FLOOR_M) / altitude), -8, 8),
            np.log(fit.residual),
            np.log(fit.roughness),
            np.log(np.clip(raw[:, -1, _RATE], 0.3, 500)),
        )
        return np.column_stack(columns)

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Log of the true height still to climb over the drag-coast estimate, within +-2.5."""
        left = np.maximum(target - anchors[:, 0], 0) + _FLOOR_M
        return np.asarray(np.clip(np.log(left / (anchors[:, 1] + _FLOOR_M)), -_MAX_LOG_RATIO, _MAX_LOG_RATIO))

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Apogee in m; never more than a few m below where the rocket is."""
        ratio = np.exp(np.clip(encoded, -_MAX_LOG_RATIO - 1, _MAX_LOG_RATIO + 1))
        return np.asarray(anchors[:, 0] + ratio * (anchors[:, 1] + _FLOOR_M) - _FLOOR_M)

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """Log of the estimated time to apogee over the time in flight."""
        return anchors[:, 2]

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """`ballistic`: no drag from here on. `drag_coast`: the drag of the window, thinning with the air."""
        return {"ballistic": features[:, 0] + features[:, 2], "drag_coast": features[:, 0] + features[:, 1]}


def drag_coast_climb_m(speed_mps: FloatArray, drag_per_m: FloatArray) -> FloatArray:
    """Height that a coasting body still climbs: ln(1 + k v^2 / g) / 2k, with k falling as the air thins.

    From v dv/dh = -g - k v^2 (for example Stine, "Handbook of Model Rocketry", 7th edition, chapter 10).
    The mean density over the climb, weighted to its fast first part, stands in for the varying one.
    """
    climb = _climb_m(speed_mps, drag_per_m)
    for _ in range(2):
        climb = _climb_m(speed_mps, drag_per_m * np.exp(-0.4 * np.minimum(climb, 3e4) / SCALE_HEIGHT_M))
    return climb


def _climb_m(speed_mps: FloatArray, drag_per_m: FloatArray) -> FloatArray:
    ratio = drag_per_m * speed_mps**2 / GRAVITY_MPS2
    # log1p(x) / x -> 1 as the drag vanishes
    shrink = np.where(ratio > 1e-9, np.log1p(ratio) / np.maximum(ratio, 1e-9), 1.0)
    return np.asarray(speed_mps**2 / (2 * GRAVITY_MPS2) * shrink)


def _coast_time_s(speed_mps: FloatArray, drag_per_m: FloatArray) -> FloatArray:
    """Time to apogee under constant drag: atan(v sqrt(k/g)) / sqrt(k g)."""
    root = np.sqrt(np.maximum(drag_per_m, 1e-12) / GRAVITY_MPS2)
    return np.asarray(np.arctan(speed_mps * root) / (root * GRAVITY_MPS2))


def _drag_per_m(fit: _Fit) -> FloatArray:
    """k in dv/dt = -g - k v^2 at the end of the window, at most 0.1 per m; 0 where it does not slow down."""
    mid = np.maximum(fit.mid_speed, _MIN_SPEED_MPS)
    return np.asarray(np.clip((-fit.acceleration - GRAVITY_MPS2) / mid**2, 0.0, 0.1))


def _squash(values: FloatArray) -> FloatArray:
    """Linear near 0, logarithmic far from it."""
    return np.asarray(np.arcsinh(values))


@lru_cache(maxsize=8)
def _projection(steps: int, step_s: float, degree: int) -> FloatArray:
    """(degree + 1, steps): altitudes up to time 0 -> coefficients of the least-squares polynomial."""
    powers = np.vander(_grid(steps, step_s), degree + 1, increasing=True)
    return np.asarray(np.linalg.pinv(powers), np.float64)


def _grid(steps: int, step_s: float) -> FloatArray:
    return np.arange(1 - steps, 1, dtype=np.float64) * step_s


def _coefficients(values: FloatArray, step_s: float, degree: int) -> FloatArray:
    """(n, steps) -> (degree + 1, n). Sums of each row by itself: a matrix product depends on the batch."""
    return np.stack([(values * row).sum(axis=1) for row in _projection(values.shape[1], step_s, degree)])


def _fit(relative_s: FloatArray, altitude_m: FloatArray) -> _Fit:
    """Fit by a product with a constant matrix, since all windows are on one grid."""
    steps = altitude_m.shape[1]
    # rounded, so that the digits that large times lose do not count
    step_s = round(float(-relative_s[0, 0]) / (steps - 1), 4) if len(relative_s) else 0.05
    times = _grid(steps, step_s)
    last_m = altitude_m[:, -1:]
    above = altitude_m - last_m  # small numbers: what is left after subtraction keeps its digits
    quadratic = _coefficients(above, step_s, 2)
    cubic = _coefficients(above, step_s, 3)
    misfit = above - sum(c[:, None] * times**power for power, c in enumerate(cubic))
    bends = np.diff(above, 2, axis=1)
    return _Fit(
        height=last_m[:, 0] + quadratic[0],
        speed=quadratic[1],
        mid_speed=quadratic[1] + quadratic[2] * times[0],
        acceleration=2 * quadratic[2],
        cubic_speed=cubic[1],
        cubic_acceleration=2 * cubic[2],
        jerk=6 * cubic[3],
        residual=np.maximum(np.sqrt(np.mean(misfit**2, axis=1)), _MIN_RESIDUAL_M),
        roughness=np.maximum(np.sqrt(np.mean(bends**2, axis=1)), _MIN_RESIDUAL_M),
    )


WORKLOAD = ApogeeWorkload()
