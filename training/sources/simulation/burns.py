"""Thrust rules and ends of phases, for `training.sources.simulation.trajectories`."""

from __future__ import annotations

from math import asin, cos, pi, sin, sqrt

from training.sources.simulation.trajectories import EARTH_RADIUS_M, GRAVITY_MPS2, End, Moment, Thrust, Vector

_STEERING_S = 90.0
_STEEPEST_RAD = 1.0


def pitch_over(heading: Vector, start_mps2: float, growth_s: float, end_rad: float, burn_s: float) -> Thrust:
    """Return the thrust of a first stage: from straight up to `end_rad` above the horizon at burn-out.

    Args:
        heading: level unit vector to where it flies.
        start_mps2: thrust over mass at lift-off.
        growth_s: the time at which the mass would be gone; thrust over mass grows as it nears.
        end_rad: elevation of the thrust at burn-out.
        burn_s: time of the burn-out.
    """

    def thrust(now: Moment) -> Vector:
        turned = min(max((now.since_s - 8.0) / (burn_s - 8.0), 0.0), 1.0) ** 0.8
        elevation = pi / 2 - (pi / 2 - end_rad) * turned
        return _scaled(now, heading, start_mps2 / (1 - now.since_s / growth_s), elevation)

    return thrust


def to_orbit(heading: Vector, start_mps2: float, growth_s: float, height_m: float) -> Thrust:
    """Return the thrust of an upper stage, which steers for a height and gains speed with the rest."""

    def thrust(now: Moment) -> Vector:
        size = start_mps2 / (1 - min(now.since_s / growth_s, 0.9))
        radius = now.height_m + EARTH_RADIUS_M
        along_mps2 = now.speed_mps**2 - now.climb_mps**2
        wanted = (height_m - now.height_m) / _STEERING_S**2 - 2 * now.climb_mps / _STEERING_S
        wanted += GRAVITY_MPS2 * (EARTH_RADIUS_M / radius) ** 2 - along_mps2 / radius
        limit = sin(_STEEPEST_RAD)
        return _scaled(now, _forward(now, heading), size, asin(min(max(wanted / size, -limit), limit)))

    return thrust


def against(size_mps2: float) -> Thrust:
    """Against the velocity."""
    return forward(-size_mps2)


def forward(size_mps2: float) -> Thrust:
    """Along the velocity."""

    def thrust(now: Moment) -> Vector:
        share = size_mps2 / max(now.speed_mps, 1.0)
        return share * now.velocity[0], share * now.velocity[1], share * now.velocity[2]

    return thrust


def to_a_halt(braking_mps2: float) -> Thrust:
    """Against the velocity, to end on the ground; none where half of `braking_mps2` would do."""

    def thrust(now: Moment) -> Vector:
        needed_mps2 = now.speed_mps**2 / (2 * max(now.height_m, 10.0))
        throttle = min(max((needed_mps2 / braking_mps2 - 0.5) / 0.3, 0.0), 1.0)
        return against(throttle * (needed_mps2 + GRAVITY_MPS2))(now)

    return thrust


def towards(direction: Vector, size_mps2: float) -> Thrust:
    """Level, in a direction that does not change: a burn that turns a stage back."""

    def thrust(now: Moment) -> Vector:
        return _scaled(now, direction, size_mps2, 0.0)

    return thrust


def below(height_m: float) -> End:
    """End a phase at this height, when it is reached from above."""
    return lambda now: now.height_m - height_m if now.climb_mps < 0 else 1.0


def after(time_s: float) -> End:
    """After this time."""
    return lambda now: time_s - now.since_s


def faster_than(speed_mps: float) -> End:
    """End a phase at this speed."""
    return lambda now: speed_mps - now.speed_mps


def slower_than(speed_mps: float) -> End:
    """End a phase at this speed, or on the ground."""
    return lambda now: min(now.speed_mps - speed_mps, now.height_m - 1.0)


def landing_height(braking_mps2: float) -> End:
    """Return the height where a burn that slows down by so much has to begin."""
    return lambda now: now.height_m - now.speed_mps**2 / (2 * braking_mps2) if now.climb_mps < 0 else 1.0


def _forward(now: Moment, heading: Vector) -> Vector:
    """Return the level direction of flight; `heading` where it is nearly vertical."""
    level = tuple(v - now.climb_mps * u for v, u in zip(now.velocity, now.up, strict=True))
    size = sqrt(sum(c * c for c in level))
    if size < 1.0:
        return heading
    return level[0] / size, level[1] / size, level[2] / size


def _scaled(now: Moment, level: Vector, size: float, elevation_rad: float) -> Vector:
    c, s = size * cos(elevation_rad), size * sin(elevation_rad)
    return (
        c * level[0] + s * now.up[0],
        c * level[1] + s * now.up[1],
        c * level[2] + s * now.up[2],
    )
