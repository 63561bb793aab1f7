"""Features of a trajectory: where a vehicle will be in one to ten minutes, from its last minute.

Everything is seen from the last position, along the course: what a model learns is how far, ahead and to the
left, the vehicle will be from where a constant velocity would take it, over its speed. So it carries over to
any place, heading and size of vehicle. Place and heading are given as well, as waves: a model that learns
from the traffic of one area learns its routes by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.geo import from_local, local_m, rotated, unrotated
from features.routes import WAVES, route_waves

FloatArray = NDArray[np.float64]

HORIZONS_S = np.array([60.0, 120.0, 300.0, 600.0])
STEP_S = 10.0

_PLACE = slice(1, 3)
_ALTITUDE, _SPEED, _TRACK, _CLIMB = 3, 4, 5, 6
# Of the steps a model sees the first and the last five: turns begin late.
_SEEN = [0, 2, 3, 4, 5, 6]
# What altitude, speed and track hold where none is sent is below these, see the contract.
_LOWEST_M, _LEAST = -500.0, 0.0
# Positions of the last 40 s give a velocity: fewer are noisy, more lag behind.
_FIT_STEPS = 5
# Added to speeds that errors are measured by, so that a vehicle at rest has a scale.
_REST_MPS = 3.0
# Speed and track that are so far from what the positions say, over the speed, are stale or made up: even in a
# turn their mean over the same 20 s is close.
_AGREEING = 0.3
# What is learnt is linear up to so much of the way and grows with its logarithm beyond, so that the few who
# turn back do not outweigh those who go on. A model that says more than `_MOST` is held there.
_LINEAR_SHARE = 0.3
_MOST = 10.0

_OF_STEPS = (
    "lag_s",  # distance along the course from where a constant velocity was, over the speed
    "left_s",  # the same to the left of the course
    "reported_along",  # reported velocity less the reference, over the speed; 0 where there is none
    "reported_left",
    "altitude_since_m",  # less the last one
    "climb_mps",
)
_OF_WINDOWS = (
    "latitude",
    "longitude",
    "altitude_m",  # 0 where it is not known
    "altitude_known",
    "east_mps",  # of the reference velocity
    "north_mps",
    "speed_known",  # and not contradicted by the positions
    "log_speed",
    "fit_along",  # velocity of the last 40 s of positions less the reference, over the speed
    "fit_left",
    "acceleration",  # along the course over the window, over the speed, in 1/min
    "turn",  # the same to the left: radians a minute
    "track_turn",  # of the reported track
    "unrest",  # how far all this is from a constant velocity
)
_FEATURES = (*_OF_STEPS, *_OF_WINDOWS, *(f"route_{number}" for number in range(WAVES)))


class _Motion(NamedTuple):
    """The motion in a window. Velocities (n, 2) east and north in m/s; `course` their unit vectors."""

    reference: FloatArray
    course: FloatArray
    scale: FloatArray
    speed_known: NDArray[np.bool_]


class TrajectoryWorkload:
    """The `features.workload.Workload` and `Transform` of trajectory."""

    feature_names = _FEATURES
    anchor_names = (
        "latitude",
        "longitude",
        "altitude_m",
        "altitude_known",
        "east_mps",
        "north_mps",
        "unrest",
    )
    output_names = tuple(
        f"{what}_in_{time_s:g}_s" for time_s in HORIZONS_S for what in ("ahead", "left", "climb")
    )
    output_groups = tuple(
        tuple(f"{what}_in_{time_s:g}_s" for what in ("ahead", "left")) for time_s in HORIZONS_S
    )

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, 7, 8) -> (n, 6, 116): the steps of `_SEEN`, the last one at the end."""
        raw = np.asarray(raw, dtype=np.float64)
        local = local_m(raw[:, -1:, _PLACE], raw[:, :, _PLACE])
        reported, known = _reported(raw, local)
        motion = _motion(local, reported, known)
        lag = rotated(local - motion.reference[:, None] * _times(raw)[:, None], motion.course[:, None])
        velocity = rotated(reported - motion.reference[:, None], motion.course[:, None])
        velocity = np.where(known[:, :, None], velocity, 0.0)
        altitude_known = raw[:, :, _ALTITUDE] >= _LOWEST_M
        altitude = np.where(altitude_known, raw[:, :, _ALTITUDE], 0.0)
        of_steps = np.concatenate(
            [
                lag / motion.scale[:, None, None],
                velocity / motion.scale[:, None, None],
                (altitude - altitude[:, -1:])[:, :, None],
                raw[:, :, _CLIMB, None],
            ],
            axis=2,
        )
        of_windows = _of_windows(raw, local, motion, altitude[:, -1], altitude_known[:, -1])
        seen = of_steps[:, _SEEN]
        wide = np.broadcast_to(of_windows[:, None], (*seen.shape[:2], of_windows.shape[1]))
        return np.concatenate([seen, wide], axis=2)

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """(n, 4, 3) places -> (n, 12): ahead and to the left of a constant velocity, and climb in m/s.

        NaN stays NaN; the climb is NaN too where the altitude at the end of the window is not known.
        """
        where, reference, course, scale = _anchored(anchors)
        local = local_m(where[:, None], target[..., :2])
        away = rotated(local - reference[:, None] * HORIZONS_S[:, None], course[:, None])
        away = np.arcsinh(away / (scale[:, None] * HORIZONS_S)[..., None] / _LINEAR_SHARE)
        climb = (target[..., 2] - anchors[:, None, 2]) / HORIZONS_S
        climb = np.where(anchors[:, None, 3] > 0, climb, np.nan)
        return np.concatenate([away, climb[..., None]], axis=2).reshape(len(target), -1)

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """(n, 12) -> (n, 4, 3). The altitude is 0 where that at the end of the window is not known."""
        where, reference, course, scale = _anchored(anchors)
        outputs = encoded.reshape(len(encoded), len(HORIZONS_S), 3)
        away = (
            _LINEAR_SHARE
            * np.sinh(np.clip(outputs[..., :2], -_MOST, _MOST))
            * (scale[:, None] * HORIZONS_S)[..., None]
        )
        local = unrotated(away, course[:, None]) + reference[:, None] * HORIZONS_S[:, None]
        climb = np.where(anchors[:, None, 3] > 0, outputs[..., 2] * HORIZONS_S, 0.0)
        return _places(where, local, anchors[:, None, 2] + climb)

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """Log of the speed and of how far the window was from a constant velocity."""
        *_, scale = _anchored(anchors)
        return np.asarray(np.log(scale) + 0.5 * np.log(anchors[:, 6] + 0.02))

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """`constant_velocity`: that of the last 40 s of positions, by least squares, along a great circle.

        `reported_velocity`: the reported ground speed and track where there are any and the positions do not
        contradict them, else that of the last 20 s of positions. Both keep the altitude.
        """
        last = features[:, -1]
        anchors = last[:, [_FEATURES.index(name) for name in self.anchor_names]]
        where, reference, course, scale = _anchored(anchors)
        more = last[:, [_FEATURES.index("fit_along"), _FEATURES.index("fit_left")]] * scale[:, None]
        fitted = reference + unrotated(more, course)
        altitude = np.broadcast_to(anchors[:, None, 2], (len(last), len(HORIZONS_S)))
        return {
            name: _places(where, velocity[:, None] * HORIZONS_S[:, None], altitude)
            for name, velocity in (("constant_velocity", fitted), ("reported_velocity", reference))
        }


def _times(raw: FloatArray) -> FloatArray:
    return np.arange(1 - raw.shape[1], 1) * STEP_S


def _reported(raw: FloatArray, local: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Velocity that was sent (n, steps, 2), and whether there was any (n, steps).

    None of a window counts if the last three contradict the positions (n, steps, 2).
    """
    known = (raw[:, :, _SPEED] >= _LEAST) & (raw[:, :, _TRACK] >= _LEAST)
    track = np.radians(raw[:, :, _TRACK])
    velocity = raw[:, :, _SPEED, None] * np.stack([np.sin(track), np.cos(track)], axis=2)
    of_positions = _slope(local[:, -3:])
    off = np.linalg.norm(velocity[:, -3:].mean(axis=1) - of_positions, axis=1)
    scale = np.linalg.norm(of_positions, axis=1) + _REST_MPS
    known &= ((off <= _AGREEING * scale) | ~known[:, -3:].all(axis=1))[:, None]
    return np.where(known[:, :, None], velocity, 0.0), known


def _motion(local: FloatArray, reported: FloatArray, known: NDArray[np.bool_]) -> _Motion:
    """Return the motion relative to the last reported velocity, or to that of the last 20 s of positions."""
    of_positions = _slope(local[:, -3:])
    reference = np.where(known[:, -1:], reported[:, -1], of_positions)
    speed = np.hypot(reference[:, 0], reference[:, 1])
    return _Motion(reference, _unit(reference, speed), speed + _REST_MPS, known[:, -1])


def _of_windows(
    raw: FloatArray,
    local: FloatArray,
    motion: _Motion,
    altitude: FloatArray,
    altitude_known: NDArray[np.bool_],
) -> FloatArray:
    """(n, windows' features), in the order of their names."""
    place = raw[:, -1, _PLACE]
    fit = rotated(_slope(local[:, -_FIT_STEPS:]) - motion.reference, motion.course) / motion.scale[:, None]
    bend = rotated(_bend(local), motion.course) / motion.scale[:, None] * 60
    track = np.radians(raw[:, :, _TRACK])
    track_turn = np.angle(np.exp(1j * (track[:, -1] - track[:, -3]))) / (2 * STEP_S) * -60
    track_turn = np.where(motion.speed_known & (raw[:, -3, _TRACK] >= _LEAST), track_turn, 0.0)
    climb = np.abs(raw[:, -1, _CLIMB]) / motion.scale
    unrest = np.hypot(fit[:, 0], fit[:, 1]) + np.hypot(bend[:, 0], bend[:, 1]) + np.abs(track_turn) + climb
    columns = (
        *place.T,
        altitude,
        altitude_known,
        *motion.reference.T,
        motion.speed_known,
        np.log(motion.scale),
        *fit.T,
        *bend.T,
        track_turn,
        unrest,
    )
    return np.column_stack([*columns, route_waves(place, motion.course)])


def _slope(local: FloatArray) -> FloatArray:
    """(n, steps, 2) -> (n, 2): velocity of the least-squares line."""
    times = np.arange(local.shape[1]) * STEP_S
    weight = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
    return np.asarray((local * weight[:, None]).sum(axis=1))


def _bend(local: FloatArray) -> FloatArray:
    """(n, steps, 2) -> (n, 2): acceleration of the least-squares quadratic."""
    times = np.arange(1 - local.shape[1], 1) * STEP_S
    weight = 2 * np.linalg.pinv(np.vander(times, 3, increasing=True))[2]
    return np.asarray((local * weight[:, None]).sum(axis=1))


def _unit(velocity: FloatArray, speed: FloatArray) -> FloatArray:
    """Return unit vectors; north where there is no motion."""
    moving = speed > 0
    north = np.array([0.0, 1.0])
    return np.where(moving[:, None], velocity / np.where(moving, speed, 1.0)[:, None], north)


def _anchored(anchors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Place, reference velocity, course and scale."""
    reference = anchors[:, 4:6]
    speed = np.hypot(reference[:, 0], reference[:, 1])
    return anchors[:, :2], reference, _unit(reference, speed), speed + _REST_MPS


def _places(where: FloatArray, local: FloatArray, altitude_m: FloatArray) -> FloatArray:
    return np.concatenate([from_local(where[:, None], local), altitude_m[..., None]], axis=2)


WORKLOAD = TrajectoryWorkload()
