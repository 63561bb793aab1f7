"""Random flights to and from space: capsules, boosters, upper stages, ascents, orbits and ways out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.sources.simulation import burns
from training.sources.simulation.trajectories import (
    EARTH_RADIUS_M,
    GRAVITY_MPS2,
    MU_M3PS2,
    SPIN_RADPS,
    Body,
    Phase,
    Trajectory,
    Vector,
    fly,
    local_frame,
)

FloatArray = NDArray[np.float64]

_LONGEST_FALL_S = 4000.0
# Drag hardly slows a full launcher.
_LAUNCHER = Body(1e5)


def capsule(generator: np.random.Generator) -> Trajectory:
    """Draw a return from low orbit (one in eight: from the Moon), ballistic or lifting, to its parachute."""
    lunar = generator.random() < 0.125
    lifting = generator.random() < 0.6
    body = Body(
        ballistic_kgpm2=_log_uniform(generator, 200, 600),
        lift_to_drag=generator.uniform(0.1, 0.4) if lifting else 0.0,
        bank_rad=np.radians(generator.uniform(-80, 80)),
    )
    speed_mps = generator.uniform(10_500, 11_000) if lunar else generator.uniform(7200, 7800)
    angle_deg = -generator.uniform(5.2, 7.5) if lunar else -generator.uniform(1.0, 4.0)
    height_m = generator.uniform(115e3, 220e3)
    return _descent(generator, body, height_m, speed_mps, angle_deg, open_m=generator.uniform(5e3, 11e3))


def upper_stage(generator: np.random.Generator) -> Trajectory:
    """Draw an empty stage that falls out of orbit at a shallow angle and, if it comes down, to the ground."""
    body = Body(_log_uniform(generator, 50, 250))
    height_m = generator.uniform(115e3, 180e3)
    angle_deg = -generator.uniform(0.1, 3.0)
    return _descent(generator, body, height_m, generator.uniform(7000, 7800), angle_deg, open_m=0.0)


def booster(generator: np.random.Generator) -> Trajectory:
    """Draw a first stage from lift-off to the ground or its landing, on a way above the atmosphere."""
    site, position_m = _place(generator)
    towards = _heading(generator, site)
    body = Body(_log_uniform(generator, 1500, 5000))
    burn_s = generator.uniform(125, 175)
    phases = [_first_burn(generator, towards, burn_s)]
    if generator.random() < 0.4:  # back to the launch site
        phases.append(Phase(body, burns.after(generator.uniform(5, 15)), 60.0))
        back = (-towards[0], -towards[1], -towards[2])
        push = burns.towards(back, generator.uniform(15, 30))
        phases.append(Phase(body, burns.after(generator.uniform(15, 45)), 60.0, push))
    if generator.random() < 0.8:
        phases.append(Phase(body, burns.below(generator.uniform(50e3, 75e3)), _LONGEST_FALL_S))
        brake = burns.against(generator.uniform(15, 35))
        phases.append(Phase(body, burns.after(generator.uniform(8, 30)), 60.0, brake))
    phases += _landing(generator, body)
    return fly(position_m, np.zeros(3), phases)


def hop(generator: np.random.Generator) -> Trajectory:
    """Draw a steep flight to just above the edge of space, as sounding rockets and tourists make it."""
    site, position_m = _place(generator)
    towards = _heading(generator, site)
    body = Body(_log_uniform(generator, 1000, 5000))
    burn_s = generator.uniform(60, 140)
    up = burns.pitch_over(
        towards, generator.uniform(14, 24), burn_s * generator.uniform(1.5, 3), np.radians(84), burn_s
    )
    # every other one hardly leaves the atmosphere
    enough = burns.faster_than(generator.uniform(1050, 1200 if generator.random() < 0.5 else 1900))
    phases = [Phase(_LAUNCHER, enough, burn_s, up), *_landing(generator, body)]
    return fly(position_m, np.zeros(3), phases)


def ascent(generator: np.random.Generator) -> Trajectory:
    """Draw a launch to orbit, and some time in it."""
    site, position_m = _place(generator)
    towards = _heading(generator, site)
    height_m = _log_uniform(generator, 160e3, 500e3)
    stage = Body(_log_uniform(generator, 1000, 5000))
    start_mps2, growth_s = generator.uniform(6, 11), generator.uniform(420, 600)
    rise = burns.to_orbit(towards, start_mps2, growth_s, height_m)
    phases = [
        _first_burn(generator, towards, generator.uniform(125, 175)),
        Phase(stage, burns.after(generator.uniform(3, 12)), 60.0),
        Phase(stage, burns.faster_than(generator.uniform(7100, 7700)), 0.9 * growth_s, rise),
        Phase(stage, burns.below(50e3), generator.uniform(0, 600)),
    ]
    return fly(position_m, np.zeros(3), phases)


def orbit(generator: np.random.Generator) -> Trajectory:
    """Draw a quarter of an hour in an orbit, circular or with its lowest point far below its highest."""
    perigee_m = EARTH_RADIUS_M + _log_uniform(generator, 160e3, 1500e3)
    apogee_m = perigee_m + generator.choice([0.0, _log_uniform(generator, 20e3, 30_000e3)])
    anomaly = generator.uniform(-np.pi, np.pi)
    axis_m, shape = (perigee_m + apogee_m) / 2, (apogee_m - perigee_m) / (apogee_m + perigee_m)
    parameter_m = axis_m * (1 - shape**2)
    radius_m = parameter_m / (1 + shape * np.cos(anomaly))
    unit_mps = np.sqrt(MU_M3PS2 / parameter_m)
    frame = local_frame(np.radians(generator.uniform(-60, 60)), generator.uniform(-np.pi, np.pi))
    ahead = np.array(_heading(generator, frame))
    inertial = unit_mps * ((1 + shape * np.cos(anomaly)) * ahead + shape * np.sin(anomaly) * frame[2])
    position_m = radius_m * frame[2]
    velocity_mps = inertial - np.cross([0, 0, SPIN_RADPS], position_m)
    return fly(position_m, velocity_mps, [Phase(Body(200.0), burns.below(0.0), 900.0)])


def transfer(generator: np.random.Generator) -> Trajectory:
    """Draw an upper stage that burns out of a low orbit, and climbs away for up to an hour."""
    body = Body(2000.0)
    position_m, velocity_mps = _circular(generator, _log_uniform(generator, 150e3, 400e3))
    size_mps2 = generator.uniform(8, 35)
    gain_mps = generator.uniform(200, 2900)
    push = burns.forward(size_mps2)
    phases = [
        Phase(body, burns.after(generator.uniform(1, 60)), 100.0),
        Phase(body, burns.after(gain_mps / size_mps2), 400.0, push),
        Phase(body, burns.below(50e3), generator.uniform(100, 3600)),
    ]
    return fly(position_m, velocity_mps, phases)


def _circular(generator: np.random.Generator, height_m: float) -> tuple[FloatArray, FloatArray]:
    """Position and velocity in a circular orbit."""
    frame = local_frame(np.radians(generator.uniform(-60, 60)), generator.uniform(-np.pi, np.pi))
    position_m = (EARTH_RADIUS_M + height_m) * frame[2]
    speed_mps = np.sqrt(MU_M3PS2 / (EARTH_RADIUS_M + height_m))
    ahead = speed_mps * np.array(_heading(generator, frame))
    return position_m, ahead - np.cross([0, 0, SPIN_RADPS], position_m)


def _descent(
    generator: np.random.Generator,
    body: Body,
    height_m: float,
    speed_mps: float,
    angle_deg: float,
    open_m: float,
) -> Trajectory:
    """Down to the height at which a parachute opens, which is where a track ends."""
    frame = local_frame(np.radians(generator.uniform(-60, 60)), generator.uniform(-np.pi, np.pi))
    angle = np.radians(angle_deg)
    ahead = np.array(_heading(generator, frame))
    velocity_mps = speed_mps * (np.cos(angle) * ahead + np.sin(angle) * frame[2])
    position_m = (EARTH_RADIUS_M + height_m) * frame[2]
    return fly(position_m, velocity_mps, [Phase(body, burns.below(open_m), _LONGEST_FALL_S)])


def _first_burn(generator: np.random.Generator, towards: Vector, burn_s: float) -> Phase:
    """Lift-off at 1.2 to 1.5 g, burn-out at 3 to 5 g."""
    start_mps2 = generator.uniform(1.2, 1.5) * GRAVITY_MPS2
    growth_s = burn_s / (1 - start_mps2 / (generator.uniform(3, 4.5) * GRAVITY_MPS2))
    end_rad = np.radians(generator.uniform(12, 40))
    push = burns.pitch_over(towards, start_mps2, growth_s, end_rad, burn_s)
    return Phase(_LAUNCHER, burns.after(burn_s), burn_s + 1, push)


def _landing(generator: np.random.Generator, body: Body) -> list[Phase]:
    """Most stages brake before the ground, the others hit it."""
    if generator.random() < 0.3:
        return [Phase(body, burns.below(0.0), _LONGEST_FALL_S)]
    braking_mps2 = generator.uniform(8, 25)
    return [
        Phase(body, burns.landing_height(braking_mps2), _LONGEST_FALL_S),
        Phase(body, burns.slower_than(3.0), 200.0, burns.to_a_halt(braking_mps2)),
    ]


def _place(generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw a launch site: its frame, and its position a metre above the ground."""
    frame = local_frame(np.radians(generator.uniform(-50, 60)), generator.uniform(-np.pi, np.pi))
    return frame, (EARTH_RADIUS_M + 1.0) * frame[2]


def _heading(generator: np.random.Generator, frame: FloatArray) -> Vector:
    angle = generator.uniform(0, 2 * np.pi)
    x, y, z = np.sin(angle) * frame[0] + np.cos(angle) * frame[1]
    return float(x), float(y), float(z)


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


FLIGHTS: dict[str, Callable[[np.random.Generator], Trajectory]] = {
    "capsule": capsule,
    "upper_stage": upper_stage,
    "booster": booster,
    "hop": hop,
    "ascent": ascent,
    "orbit": orbit,
    "transfer": transfer,
}
