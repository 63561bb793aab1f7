"""The flight mechanics that tracks are made of: known atmospheres, orbits, entries and burns."""

from __future__ import annotations

import numpy as np
import pytest

from training.sources.simulation import burns
from training.sources.simulation.atmosphere import density_kgpm3
from training.sources.simulation.trajectories import (
    EARTH_RADIUS_M,
    GRAVITY_MPS2,
    MU_M3PS2,
    SPIN_RADPS,
    Body,
    Phase,
    Trajectory,
    fly,
    local_frame,
)

# (base in geopotential m, temperature in K, lapse rate in K/m) of the 1976 standard atmosphere
LAYERS = [
    (0, 288.15, -6.5e-3),
    (11_000, 216.65, 0.0),
    (20_000, 216.65, 1e-3),
    (32_000, 228.65, 2.8e-3),
    (47_000, 270.65, 0.0),
    (51_000, 270.65, -2.8e-3),
    (71_000, 214.65, -2e-3),
]


def standard_density(altitude_m: float) -> float:
    """By the equations of the standard, up to 84 km."""
    height = 6_356_766 * altitude_m / (6_356_766 + altitude_m)
    gas, pressure = 287.053, 101_325.0
    for number, (base, warm, lapse) in enumerate(LAYERS):
        top = LAYERS[number + 1][0] if number + 1 < len(LAYERS) else 90_000
        up = min(height, top) - base
        cold = warm + lapse * up
        ratio = (
            (cold / warm) ** (-GRAVITY_MPS2 / gas / lapse)
            if lapse
            else np.exp(-GRAVITY_MPS2 * up / gas / warm)
        )
        pressure *= ratio
        if height <= top:
            return float(pressure / gas / cold)
    raise AssertionError


def entry(body: Body, speed_mps: float, angle_deg: float) -> Trajectory:
    """Eastward from 120 km above 28 degrees north, to 7 km."""
    frame, angle = local_frame(np.radians(28.0), 0.3), np.radians(angle_deg)
    velocity = speed_mps * (np.cos(angle) * frame[0] + np.sin(angle) * frame[2])
    return fly((EARTH_RADIUS_M + 120e3) * frame[2], velocity, [Phase(body, burns.below(7e3), 4000.0)])


def peak_g(flight: Trajectory, body: Body) -> tuple[float, float]:
    """The greatest load in g, and the altitude in m at which it is met."""
    density = np.array([density_kgpm3(h) for h in flight.altitude_m])
    load = 0.5 * density * flight.speed_mps**2 / body.ballistic_kgpm2 * np.hypot(1, body.lift_to_drag)
    at = int(load.argmax())
    return load[at] / GRAVITY_MPS2, float(flight.altitude_m[at])


@pytest.mark.parametrize("altitude_km", [0, 3, 7.5, 12, 22, 38, 47, 52, 63, 71, 84])
def test_the_air_is_that_of_the_standard(altitude_km: float) -> None:
    assert density_kgpm3(1000 * altitude_km) == pytest.approx(standard_density(1000 * altitude_km), rel=0.03)


def test_a_ballistic_capsule_brakes_at_7_g_and_a_lifting_one_at_2() -> None:
    """Mercury, ballistic from orbit, met 7.6 g (NASA SP-45); lift brings it to what passengers bear."""
    ballistic, lifting = Body(350.0), Body(350.0, lift_to_drag=0.3)
    load, height_m = peak_g(entry(ballistic, 7600, -2.0), ballistic)
    assert load == pytest.approx(7.58, abs=0.05)
    assert height_m == pytest.approx(37_380, abs=300)
    load, height_m = peak_g(entry(lifting, 7600, -2.0), lifting)
    assert load == pytest.approx(2.34, abs=0.05)
    assert height_m == pytest.approx(41_400, abs=500)


def test_a_steep_entry_follows_allen_and_eggers() -> None:
    """Peak deceleration v^2 sin(angle) / 2 e H, gravity left out (NACA report 1381, 1958).

    H is the height over which the density falls by e.
    """
    body = Body(1000.0)
    load, height_m = peak_g(entry(body, 6000, -30.0), body)
    scale_m = 1000 / np.log(density_kgpm3(height_m - 500) / density_kgpm3(height_m + 500))
    assert load * GRAVITY_MPS2 == pytest.approx(6000**2 * 0.5 / (2 * np.e * scale_m), rel=0.08)


def test_an_orbit_closes_and_keeps_its_height() -> None:
    radius_m = EARTH_RADIUS_M + 1_000e3
    speed_mps = np.sqrt(MU_M3PS2 / radius_m)
    start, inertial = np.array([radius_m, 0, 0]), np.array([0, 0, speed_mps])
    velocity = inertial - np.cross([0, 0, SPIN_RADPS], start)
    round_s = 2 * np.pi * radius_m / speed_mps
    flight = fly(start, velocity, [Phase(Body(200.0), burns.below(0.0), round_s)])
    assert np.ptp(flight.altitude_m) < 300
    # the Earth has turned on below it
    back = np.degrees(np.arctan2(flight.position_m[-1, 1], flight.position_m[-1, 0]))
    assert back == pytest.approx(-np.degrees(SPIN_RADPS * round_s), abs=0.05)


def test_a_stage_brakes_to_a_halt_on_the_ground() -> None:
    frame, body = local_frame(0.5, 0.3), Body(2500.0)
    phases = [
        Phase(body, burns.landing_height(12.0), 1000.0),
        Phase(body, burns.slower_than(3.0), 200.0, burns.to_a_halt(12.0)),
    ]
    flight = fly((EARTH_RADIUS_M + 30e3) * frame[2], -300 * frame[2], phases)
    assert flight.altitude_m[-1] < 50
    assert flight.speed_mps[-1] < 30
    assert (np.diff(flight.time_s) == 1).all()
    assert 0 < flight.thrusting.sum() < len(flight.thrusting)
