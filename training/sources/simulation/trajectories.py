"""Three degrees of freedom over a rotating Earth: gravity, drag, lift and thrust on a point mass.

Positions and velocities are in the frame that turns with the Earth, in which the air rests, so that drag
acts against the velocity as it is and gravity is joined by the Coriolis and centrifugal accelerations (for
example Vinh, Busemann and Culp, "Hypersonic and Planetary Entry Flight Mechanics", 1980, chapter 2). The
Earth is a sphere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from training.sources.simulation.atmosphere import density_kgpm3

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]

EARTH_RADIUS_M = 6_371_000.0
MU_M3PS2 = 3.986004418e14
SPIN_RADPS = 7.292115e-5
GRAVITY_MPS2 = 9.80665

_RELATIVE_TOLERANCE = 1e-6
_ABSOLUTE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Body:
    """A body in flight.

    Attributes:
        ballistic_kgpm2: mass over drag coefficient and area.
        lift_to_drag: lift over drag; 0 is ballistic.
        bank_rad: angle of the lift from the vertical plane, to the right.
    """

    ballistic_kgpm2: float
    lift_to_drag: float = 0.0
    bank_rad: float = 0.0


@dataclass(frozen=True)
class Moment:
    """A body at a time, as thrust rules and ends of phases see it.

    Attributes:
        since_s: since the phase began.
        height_m: above the sphere.
        speed_mps: relative to the air.
        climb_mps: upward part of it.
        up: unit vector away from the centre of the Earth.
        velocity: in m/s.
    """

    since_s: float
    height_m: float
    speed_mps: float
    climb_mps: float
    up: Vector
    velocity: Vector


Thrust = Callable[[Moment], Vector]
# Falls through 0 when the phase is over.
End = Callable[[Moment], float]


@dataclass(frozen=True)
class Phase:
    """A part of a flight, until `end` or for `longest_s`; thrust is an acceleration in m/s2."""

    body: Body
    end: End
    longest_s: float
    thrust: Thrust | None = None


@dataclass(frozen=True)
class Trajectory:
    """A flight once a second.

    Attributes:
        time_s: (n,).
        position_m: (n, 3) from the centre of the Earth, in the frame that turns with it.
        velocity_mps: (n, 3) relative to the ground.
        thrusting: (n,) bool.
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    thrusting: NDArray[np.bool_]

    @property
    def altitude_m(self) -> FloatArray:
        """(n,) above the sphere."""
        return np.asarray(np.linalg.norm(self.position_m, axis=1) - EARTH_RADIUS_M)

    @property
    def speed_mps(self) -> FloatArray:
        """(n,) relative to the ground."""
        return np.asarray(np.linalg.norm(self.velocity_mps, axis=1))


def fly(position_m: FloatArray, velocity_mps: FloatArray, phases: Sequence[Phase]) -> Trajectory:
    """Fly the phases one after the other; a phase that begins at its end is left out."""
    state = np.concatenate([position_m, velocity_mps])
    start_s = 0.0
    times, states, burning = [], [], []
    for phase in phases:
        if phase.end(_moment(0.0, state)) <= 0:
            continue
        found = _solve(phase, state)
        stop_s = float(found.t[-1])
        # whole seconds of the flight, so that the phases join without a seam
        ticks = np.arange(np.ceil(start_s), start_s + stop_s)
        if ticks.size:
            times.append(ticks)
            states.append(found.sol(ticks - start_s).T)
            burning.append(np.full(len(ticks), phase.thrust is not None))
        start_s += stop_s
        state = found.y[:, -1]
    flown = np.concatenate(states)
    return Trajectory(np.concatenate(times), flown[:, :3], flown[:, 3:], np.concatenate(burning))


def local_frame(latitude_rad: float, longitude_rad: float) -> FloatArray:
    """(3, 3): rows are the unit vectors to east, north and up of a place."""
    lat, lon = latitude_rad, longitude_rad
    return np.array(
        [
            [-sin(lon), cos(lon), 0.0],
            [-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)],
            [cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)],
        ]
    )


def _solve(phase: Phase, state: FloatArray) -> Any:
    def over(time_s: float, values: FloatArray) -> float:
        return phase.end(_moment(time_s, values))

    over.terminal = True  # type: ignore[attr-defined]
    over.direction = -1  # type: ignore[attr-defined]
    return solve_ivp(
        lambda time_s, values: _derivative(phase, time_s, values),
        (0.0, phase.longest_s),
        state,
        method="RK45",
        rtol=_RELATIVE_TOLERANCE,
        atol=_ABSOLUTE_TOLERANCE,
        max_step=30.0,
        dense_output=True,
        events=over,
    )


def _moment(time_s: float, values: FloatArray) -> Moment:
    x, y, z, vx, vy, vz = values.tolist()
    radius = sqrt(x * x + y * y + z * z)
    up = (x / radius, y / radius, z / radius)
    speed = sqrt(vx * vx + vy * vy + vz * vz)
    climb = up[0] * vx + up[1] * vy + up[2] * vz
    return Moment(time_s, radius - EARTH_RADIUS_M, speed, climb, up, (vx, vy, vz))


def _derivative(phase: Phase, time_s: float, values: FloatArray) -> list[float]:
    body, now = phase.body, _moment(time_s, values)
    x, y, z, vx, vy, vz = values.tolist()
    radius = now.height_m + EARTH_RADIUS_M
    pull = MU_M3PS2 / radius**3
    # drag over speed
    drag = 0.5 * density_kgpm3(now.height_m) * now.speed_mps / body.ballistic_kgpm2
    ax = -pull * x + 2 * SPIN_RADPS * vy + SPIN_RADPS**2 * x - drag * vx
    ay = -pull * y - 2 * SPIN_RADPS * vx + SPIN_RADPS**2 * y - drag * vy
    az = -pull * z - drag * vz
    if body.lift_to_drag:
        lx, ly, lz = _lift_direction(now, body.bank_rad)
        size = drag * now.speed_mps * body.lift_to_drag
        ax, ay, az = ax + size * lx, ay + size * ly, az + size * lz
    if phase.thrust is not None:
        tx, ty, tz = phase.thrust(now)
        ax, ay, az = ax + tx, ay + ty, az + tz
    return [vx, vy, vz, ax, ay, az]


def _lift_direction(now: Moment, bank_rad: float) -> Vector:
    """Across the velocity, turned by the bank from the vertical plane; none in a vertical flight."""
    (ux, uy, uz), (vx, vy, vz), speed = now.up, now.velocity, max(now.speed_mps, 1.0)
    dx, dy, dz = vx / speed, vy / speed, vz / speed
    along = ux * dx + uy * dy + uz * dz
    px, py, pz = ux - along * dx, uy - along * dy, uz - along * dz
    size = sqrt(px * px + py * py + pz * pz)
    if size < 1e-3:
        return 0.0, 0.0, 0.0
    px, py, pz = px / size, py / size, pz / size
    sx, sy, sz = dy * pz - dz * py, dz * px - dx * pz, dx * py - dy * px
    c, s = cos(bank_rad), sin(bank_rad)
    return c * px + s * sx, c * py + s * sy, c * pz + s * sz
