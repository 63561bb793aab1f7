"""Motion of simulated vehicles: all of a batch at once, each after its plan, by small steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.sources.simulation.vehicle_plans import LIFE_S, Plan

FloatArray = NDArray[np.float64]

STEP_S = 2.0
STEPS = int(LIFE_S / STEP_S)
# The speed wanders about its mean over so many seconds.
_UNREST_S = 200.0
_TOUCHDOWN_M = 20.0
_BRAKING_MPS2 = 2.0


@dataclass(frozen=True)
class Motion:
    """The motion of a batch of vehicles, every `STEP_S`.

    Attributes:
        local_m: (n, steps, 2) east and north of where each started.
        velocity_mps: (n, steps, 2) over ground.
        altitude_m, climb_mps: (n, steps).
        landed: (n, steps), from the touchdown on.
    """

    local_m: FloatArray
    velocity_mps: FloatArray
    altitude_m: FloatArray
    climb_mps: FloatArray
    landed: NDArray[np.bool_]


def move(plans: Sequence[Plan], random: np.random.Generator) -> Motion:
    """Follow the plans; courses at the start are drawn."""
    wanted = _wanted(plans)
    turn, accelerate, climb, unrest = _limits(plans)
    shear = np.array([plan.shear for plan in plans])
    lands = np.array([plan.lands for plan in plans])
    landed = np.zeros(len(plans), dtype=bool)
    wind = np.stack([plan.wind_mps for plan in plans])
    course = random.uniform(0, 2 * np.pi, len(plans))
    speed, altitude = wanted.speed[:, 0].copy(), wanted.altitude[:, 0].copy()
    left, drift = np.zeros(len(plans)), np.zeros(len(plans))
    local = np.zeros((len(plans), 2))
    columns: list[tuple[NDArray[Any], ...]] = []
    fade = np.exp(-STEP_S / _UNREST_S)
    for step in range(STEPS):
        left += wanted.turn[:, step]
        turned = np.clip(left, -turn * STEP_S, turn * STEP_S)
        left -= turned
        course += turned
        landed |= lands & (altitude < _TOUCHDOWN_M)
        most = np.where(landed, _BRAKING_MPS2, accelerate) * STEP_S
        speed += np.clip(np.where(landed, 0.0, wanted.speed[:, step]) - speed, -most, most)
        drift = fade * drift + np.sqrt(1 - fade**2) * unrest * random.normal(size=len(plans))
        # a climb begins and ends within some ten seconds
        rate = np.clip((wanted.altitude[:, step] - altitude) / 10.0, -climb, climb)
        altitude = altitude + rate * STEP_S
        through = np.maximum(speed + drift * (speed > 0), 0.0)
        heading = np.stack([np.cos(course), np.sin(course)], axis=1)
        carried = np.where(landed, 0.0, 1 + shear * altitude / 10_000)
        velocity = through[:, None] * heading + wind * carried[:, None]
        local = local + velocity * STEP_S
        columns.append((local, velocity, altitude, rate, landed.copy()))
    return Motion(*(np.stack(part, axis=1) for part in zip(*columns, strict=True)))


@dataclass(frozen=True)
class _Wanted:
    """(n, steps): speed and altitude to reach, and radians to turn by from the step on."""

    speed: FloatArray
    altitude: FloatArray
    turn: FloatArray


def _wanted(plans: Sequence[Plan]) -> _Wanted:
    speed, altitude, turn = (np.zeros((len(plans), STEPS)) for _ in range(3))
    for row, plan in enumerate(plans):
        for number, leg in enumerate(sorted(plan.legs, key=lambda leg: leg.start_s)):
            first = int(leg.start_s / STEP_S)
            if first >= STEPS:
                break
            speed[row, first:], altitude[row, first:] = leg.speed_mps, leg.altitude_m
            turn[row, first] += leg.turn_rad if number else 0.0
    return _Wanted(speed, altitude, turn)


def _limits(plans: Sequence[Plan]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    rows = [(p.turn_radps, p.acceleration_mps2, p.climb_mps, p.unrest_mps) for p in plans]
    turn, accelerate, climb, unrest = np.array(rows).T
    return turn, accelerate, climb, unrest
