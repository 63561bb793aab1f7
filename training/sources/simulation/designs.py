"""Random rockets, motors and skies, from a 0.5 kg sport rocket to a supersonic 80 kg one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_GRAVITY_MPS2 = 9.81
_SEA_LEVEL_DENSITY_KGPM3 = 1.225
_BRAKES_SHARE = 0.12


@dataclass(frozen=True)
class Design:
    """A rocket and its launch site. Lengths in m, masses in kg, times in s, angles in degrees.

    Attributes:
        drag: (n, 2), Mach number and drag coefficient of the body without thrust.
        power_on_ratio: drag coefficient under thrust over that without.
        thrust: (n, 2), s and N.
        wind: (n, 3), height above ground, eastward and northward speed in m/s.
        brakes: share of drag that airbrakes add, and when they open as a share of the coast; None without.
    """

    radius_m: float
    length_m: float
    dry_mass_kg: float
    propellant_kg: float
    fin_span_calibers: float
    drag: FloatArray
    power_on_ratio: float
    thrust: FloatArray
    burn_s: float
    rail_m: float
    inclination_deg: float
    heading_deg: float
    elevation_m: float
    latitude_deg: float
    wind: FloatArray
    brakes: tuple[float, float] | None


def draw_design(generator: np.random.Generator) -> Design:
    """Draw a random design. The motor is sized for a speed drawn from 60 to 560 m/s."""
    radius_m = _log_uniform(generator, 0.025, 0.10)
    length_m = 2 * radius_m * generator.uniform(11, 24)
    # real rockets: 300 (light sport) to 900 kg/m3 of hull volume (dense minimum-diameter)
    dry_mass_kg = np.pi * radius_m**2 * length_m * _log_uniform(generator, 280, 850)
    speed_mps = generator.uniform(60, 560)
    burn_s = float(np.clip(_log_uniform(generator, 0.7, 4.5) * (0.6 + speed_mps / 500), 0.5, 7.0))
    drag = _drag_curve(generator)
    thrust_n, propellant_kg = _size_motor(generator, speed_mps, burn_s, dry_mass_kg, radius_m, drag)
    brakes = (generator.uniform(0.2, 1.5), generator.uniform(0.02, 0.75))
    return Design(
        radius_m=radius_m,
        length_m=length_m,
        dry_mass_kg=dry_mass_kg,
        propellant_kg=propellant_kg,
        fin_span_calibers=generator.uniform(0.75, 1.3),
        drag=drag,
        power_on_ratio=generator.uniform(0.85, 1.0),
        thrust=_thrust_curve(generator, thrust_n, burn_s),
        burn_s=burn_s,
        rail_m=float(np.clip(length_m * generator.uniform(1.5, 4), 1.5, 12)),
        inclination_deg=90 - abs(generator.normal(0, 4)),
        heading_deg=generator.uniform(0, 360),
        elevation_m=float(generator.choice([generator.uniform(0, 400), generator.uniform(0, 1600)])),
        latitude_deg=generator.uniform(25, 60),
        wind=_wind(generator),
        brakes=brakes if generator.random() < _BRAKES_SHARE else None,
    )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _drag_curve(generator: np.random.Generator) -> FloatArray:
    """Drag over Mach: a slow subsonic slope, a transonic rise, a supersonic decline.

    The shape follows the measured curves in Hoerner, "Fluid-Dynamic Drag" (1965), chapter 16.
    """
    mach = np.concatenate([np.linspace(0, 0.7, 8), np.linspace(0.75, 1.3, 23), np.linspace(1.4, 3, 9)])
    subsonic = _log_uniform(generator, 0.28, 0.85)
    # skin friction falls with the Reynolds number, hence with speed: up to 25 % more at Mach 0.1 than at 0.7
    slope = 1 + generator.uniform(-0.05, 0.25) * (0.7 - np.minimum(mach, 0.7))
    rise = generator.uniform(0.25, 1.1)
    centre, width = generator.uniform(0.95, 1.03), generator.uniform(0.025, 0.07)
    step = 1 / (1 + np.exp(-(mach - centre) / width))
    decline = np.exp(-np.maximum(mach - 1.1, 0) * generator.uniform(0.2, 0.7))
    return np.column_stack([mach, subsonic * (slope + rise * step * decline)])


def _size_motor(
    generator: np.random.Generator,
    speed_mps: float,
    burn_s: float,
    dry_kg: float,
    radius_m: float,
    drag: FloatArray,
) -> tuple[float, float]:
    """Mean thrust (N) and propellant (kg) that reach about `speed_mps`, with at least 4 g at lift-off."""
    exhaust_mps = generator.uniform(1700, 2200)
    area_m2 = np.pi * radius_m**2
    drag_n = 0.5 * _SEA_LEVEL_DENSITY_KGPM3 * area_m2 * np.interp(speed_mps / 340, *drag.T) * speed_mps**2 / 3
    mass_kg = dry_kg
    for _ in range(6):  # the propellant has to be lifted as well: converges in a few rounds
        impulse = (dry_kg + 0.5 * (mass_kg - dry_kg)) * (speed_mps + _GRAVITY_MPS2 * burn_s) + drag_n * burn_s
        mass_kg = dry_kg + impulse / exhaust_mps
    thrust_n = max(impulse / burn_s, 4 * _GRAVITY_MPS2 * mass_kg)
    return float(thrust_n), float(mass_kg - dry_kg)


def _thrust_curve(generator: np.random.Generator, mean_n: float, burn_s: float) -> FloatArray:
    """Neutral, regressive or progressive burn with a quick start and a tail-off, of the given mean."""
    share = np.linspace(0, 1, 25)
    tilt = 1 + generator.uniform(-0.5, 0.3) * (share - 0.5) * 2
    tail = np.clip((1 - share) / generator.uniform(0.05, 0.25), 0, 1)
    shape = tilt * np.minimum(tail, np.clip(share / 0.04 + 0.3, 0, 1))
    shape *= mean_n / np.trapezoid(shape, share)
    return np.column_stack([share * burn_s, shape])


def _wind(generator: np.random.Generator) -> FloatArray:
    """Draw a power-law profile that turns with height, with a random eddy or two."""
    height = np.array([0, 10, 50, 150, 400, 800, 1500, 2500, 4000, 7000, 12000], dtype=float)
    speed = np.abs(generator.normal(0, 4.5)) * (np.maximum(height, 2) / 10) ** generator.uniform(0.08, 0.22)
    speed = np.maximum(speed + generator.normal(0, 1.2, height.size), 0)
    direction = generator.uniform(0, 2 * np.pi) + np.cumsum(generator.normal(0, 0.12, height.size))
    return np.column_stack([height, speed * np.cos(direction), speed * np.sin(direction)])
