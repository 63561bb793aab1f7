"""Simulation of a flight, from a random generator to its true altitude over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from training.sources.simulation.designs import Design, draw_design

FloatArray = NDArray[np.float64]

# With these RocketPy is twice as fast as with its defaults, and the apogee is within 1 m of theirs. An
# unbounded step would make it return, silently, an apogee of minus the elevation.
_SOLVER: dict[str, Any] = {"rtol": 3e-4, "max_time_step": 0.2}
_APOGEE_RANGE_M = (120.0, 7000.0)
_SPEED_RANGE_MPS = (45.0, 600.0)
_STEP_S = 0.01


class FlightError(RuntimeError):
    """A design that did not fly, or flew out of the range that is wanted."""


@dataclass(frozen=True)
class Flight:
    """A flight from lift-off to apogee every 0.01 s.

    Attributes:
        time_s: (n,), from 0, the first motion.
        altitude_m: (n,), above ground; the last value is the apogee.
        speed_mps: (n,), through the air mass at rest.
        mach: (n,).
        burn_out_s: end of thrust.
    """

    time_s: FloatArray
    altitude_m: FloatArray
    speed_mps: FloatArray
    mach: FloatArray
    burn_out_s: float

    @property
    def apogee_m(self) -> float:
        """The highest altitude above ground."""
        return float(self.altitude_m[-1])


def simulate_flight(generator: np.random.Generator) -> Flight:
    """Draw a design and fly it.

    Raises:
        FlightError: it is unstable, tumbles, or reaches an apogee or speed that is out of range.
    """
    design = draw_design(generator)
    states = _integrate(design)
    elevation_m = design.elevation_m
    time_s, up_m, climb_mps = states[:, 0], states[:, 3] - elevation_m, states[:, 6]
    speed_mps = np.linalg.norm(states[:, 4:7], axis=1)
    apogee_m, fastest_mps = float(up_m.max()), float(speed_mps.max())
    if not _APOGEE_RANGE_M[0] < apogee_m < _APOGEE_RANGE_M[1]:
        raise FlightError(f"apogee of {apogee_m:.0f} m, expected {_APOGEE_RANGE_M}")
    if not _SPEED_RANGE_MPS[0] < fastest_mps < _SPEED_RANGE_MPS[1]:
        raise FlightError(f"speed of {fastest_mps:.0f} m/s, expected {_SPEED_RANGE_MPS}")
    if time_s[up_m.argmax()] < design.burn_s + 1:
        raise FlightError("no coast to learn from")
    grid_s = np.append(np.arange(0, time_s[-1], _STEP_S), time_s[-1])
    speed = np.interp(grid_s, time_s, speed_mps)
    altitude_m = CubicHermiteSpline(time_s, up_m, climb_mps)(grid_s)
    # speed of sound in the standard atmosphere, linear in height below the tropopause
    sound_mps = 340.3 - 0.00386 * (altitude_m + elevation_m)
    return Flight(grid_s, altitude_m, speed, speed / sound_mps, design.burn_s)


def _integrate(design: Design) -> FloatArray:
    """(n, 14) RocketPy states: time, position, velocity, attitude, rates; up to apogee, times increasing."""
    import rocketpy  # heavy: only the tasks that simulate pay for it

    environment = _environment(design)
    how = _SOLVER | {
        "environment": environment,
        "rail_length": design.rail_m,
        "inclination": design.inclination_deg,
        "heading": design.heading_deg,
        "terminate_on_apogee": True,
    }
    try:
        closed = rocketpy.Flight(rocket=_rocket(design, 1.0), **how)
        states = np.asarray(closed.solution)
        if design.brakes is None:
            return _increasing(states)
        added, share = design.brakes
        opening_s = design.burn_s + share * (closed.apogee_time - design.burn_s)
        before = states[states[:, 0] <= opening_s]
        braking = _rocket(design, 1.0 + added)
        opened = rocketpy.Flight(rocket=braking, initial_solution=before[-1].tolist(), **how)
    except (ValueError, ArithmeticError, IndexError) as error:
        raise FlightError(f"the simulation failed: {error}") from error
    return _increasing(np.vstack([before, np.asarray(opened.solution)]))


def _increasing(states: FloatArray) -> FloatArray:
    finite = np.isfinite(states).all(axis=1)
    if not finite.all() or len(states) < 10:
        raise FlightError("the simulation failed: states that are not finite")
    _, first = np.unique(states[:, 0], return_index=True)
    return states[first]


def _environment(design: Design) -> Any:
    import rocketpy

    environment = rocketpy.Environment(latitude=design.latitude_deg, elevation=design.elevation_m)
    height_m = design.wind[:, 0] + design.elevation_m
    environment.set_atmospheric_model(
        type="custom_atmosphere",
        wind_u=np.column_stack([height_m, design.wind[:, 1]]).tolist(),
        wind_v=np.column_stack([height_m, design.wind[:, 2]]).tolist(),
    )
    return environment


def _rocket(design: Design, drag_factor: float) -> Any:
    """Return the design as a RocketPy rocket; origin at the tail, nose up."""
    import rocketpy

    caliber_m, length_m = 2 * design.radius_m, design.length_m
    case_m = float(np.clip(length_m * 0.3, 2 * caliber_m, 0.5 * length_m))
    motor = rocketpy.GenericMotor(
        thrust_source=design.thrust.tolist(),
        burn_time=design.burn_s,
        chamber_radius=0.7 * design.radius_m,
        chamber_height=case_m,
        chamber_position=case_m / 2,
        propellant_initial_mass=design.propellant_kg,
        nozzle_radius=0.4 * design.radius_m,
        dry_mass=0.15 * design.dry_mass_kg,
        center_of_dry_mass_position=case_m / 2,
        dry_inertia=(0, 0, 0),
    )
    mass_kg = 0.85 * design.dry_mass_kg
    lateral = mass_kg * (length_m**2 / 12 + design.radius_m**2 / 4)
    power_off = np.column_stack([design.drag[:, 0], design.drag[:, 1] * drag_factor])
    power_on = np.column_stack([design.drag[:, 0], design.drag[:, 1] * design.power_on_ratio])
    rocket = rocketpy.Rocket(
        radius=design.radius_m,
        mass=mass_kg,
        inertia=(lateral, lateral, 0.5 * mass_kg * design.radius_m**2),
        power_off_drag=power_off.tolist(),
        power_on_drag=power_on.tolist(),
        center_of_mass_without_motor=0.52 * length_m,
        coordinate_system_orientation="tail_to_nose",
    )
    rocket.add_motor(motor, position=0)
    rocket.add_nose(length=4 * caliber_m, kind="ogive", position=length_m)
    span_m = design.fin_span_calibers * caliber_m
    rocket.add_trapezoidal_fins(
        n=4, root_chord=2 * caliber_m, tip_chord=caliber_m, span=span_m, position=2.2 * caliber_m
    )
    return rocket
