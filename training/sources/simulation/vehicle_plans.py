"""Plans of simulated aircraft and ships: legs with a course, a speed and an altitude to reach.

Speeds, rates and altitudes are those of airliners in service (climb and descent below 10,000 ft at 250 kt,
turns at up to 25 degrees of bank) and of merchant ships.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# How long a vehicle is followed, in s.
LIFE_S = 2400.0
# Of the vehicles that are drawn.
_KINDS_SHARE = {
    "cruise": 0.32,
    "departure": 0.22,
    "approach": 0.24,
    "hold": 0.02,
    "light": 0.05,
    "ship": 0.15,
}


@dataclass(frozen=True)
class Leg:
    """A leg from `start_s` on: turn by `turn_rad` (left is positive), then keep speed and altitude."""

    start_s: float
    turn_rad: float
    speed_mps: float
    altitude_m: float


@dataclass(frozen=True)
class Plan:
    """The plan of a vehicle. The first leg holds how it starts; `turn_rad` of it is not used.

    Attributes:
        kind: of vehicle and of what it does.
        turn_radps, acceleration_mps2, climb_mps: the most that it does of each.
        wind_mps: (2,) east and north, of a ship the current; `shear` its growth per 10 km of altitude.
        unrest_mps: standard deviation of a slow change of the speed.
        lively_s: what is of interest of it happens before.
        lands: whether it brakes to a stand when it is on the ground.
    """

    kind: str
    legs: tuple[Leg, ...]
    turn_radps: float
    acceleration_mps2: float
    climb_mps: float
    wind_mps: FloatArray
    shear: float
    unrest_mps: float
    lively_s: float = LIFE_S
    lands: bool = False

    @property
    def at_sea(self) -> bool:
        """Return whether the vehicle is a ship."""
        return self.kind == "ship"


def draw_plan(random: np.random.Generator) -> Plan:
    """Draw a random vehicle."""
    kinds = list(_KINDS_SHARE)
    kind = kinds[int(random.choice(len(kinds), p=list(_KINDS_SHARE.values())))]
    return _DRAW[kind](random)


def _cruise(random: np.random.Generator) -> Plan:
    """High and fast, along airways with a bend now and then; some begin their descent."""
    speed, altitude = random.uniform(190, 265), random.uniform(8000, 12_800)
    legs = [Leg(0, 0, speed, altitude)]
    for start_s in _starts(random, 420.0):
        speed += random.normal(0, 3)
        if random.random() < 0.12:
            altitude = max(altitude + random.choice([-600, 600, -1200, -3500]), 3000)
        legs.append(Leg(start_s, _bend_rad(random), speed, altitude))
    return _airliner(random, "cruise", legs, climb_mps=random.uniform(5, 12))


def _departure(random: np.random.Generator) -> Plan:
    """Up from a runway: two or three turns, some right back, faster with altitude."""
    initial, clean = random.uniform(75, 95), random.uniform(125, 150)
    legs = [Leg(0, 0, random.uniform(70, 85), random.uniform(300, 900)), Leg(20, 0, initial, 1500)]
    begin_s = random.uniform(30, 90)
    legs.append(Leg(begin_s, _vector_rad(random, 85), 0.5 * (initial + clean), random.uniform(2000, 4500)))
    begin_s += random.uniform(30, 120)
    legs.append(Leg(begin_s, _vector_rad(random, 70), clean, random.uniform(3500, 7000)))
    begin_s += random.uniform(60, 200)
    cruise, top = random.uniform(195, 245), random.uniform(7000, 11_500)
    legs.append(Leg(begin_s, _vector_rad(random, 45), 0.6 * clean + 0.4 * cruise, top))
    begin_s += random.uniform(60, 200)
    legs += [Leg(begin_s + s, _bend_rad(random), cruise, top) for s in _starts(random, 300.0)]
    climb = random.uniform(8, 14)
    return _airliner(random, "departure", legs, climb_mps=climb, lively_s=900.0)


def _approach(random: np.random.Generator) -> Plan:
    """Down from cruise, slower step by step, radar vectors, a straight final, the ground."""
    speed, altitude = random.uniform(150, 225), random.uniform(3000, 9000)
    legs = [Leg(0, 0, speed, altitude)]
    down_s = random.uniform(0, 150)
    legs.append(Leg(down_s, _vector_rad(random, 35), 0.93 * speed, random.uniform(2500, 4000)))
    slow_s = down_s + altitude / random.uniform(12, 20)
    slow, lower = random.uniform(120, 145), random.uniform(1500, 3000)
    legs.append(Leg(slow_s, _vector_rad(random, 55), slow, lower))
    vector_s = slow_s + random.uniform(60, 200)
    legs.append(Leg(vector_s, _vector_rad(random, 70), slow - 10, random.uniform(1200, lower)))
    base_s = vector_s + random.uniform(90, 260)
    turn = _turn_rad(random, 40, 110) if random.random() < 0.6 else 0.0
    legs.append(Leg(base_s, turn, random.uniform(90, 110), random.uniform(900, 1200)))
    final_s = base_s + random.uniform(40, 120)
    turn = _turn_rad(random, 20, 90) if random.random() < 0.7 else 0.0
    legs.append(Leg(final_s, turn, random.uniform(75, 90), 700))
    legs.append(Leg(final_s + random.uniform(40, 120), 0.0, random.uniform(62, 75), 0))
    return _airliner(random, "approach", legs, climb_mps=random.uniform(4, 9), lands=True)


def _hold(random: np.random.Generator) -> Plan:
    """Racetracks of standard turns, one minute or more a side."""
    speed, altitude = random.uniform(105, 135), random.uniform(2000, 6500)
    side_s, turn = random.uniform(60, 90), random.choice([-1.0, 1.0]) * np.pi
    half_s = side_s + np.pi / np.radians(2.2)
    starts = np.arange(random.uniform(0, 200), LIFE_S, half_s)
    legs = [Leg(0, 0, speed, altitude), *(Leg(s, turn, speed, altitude) for s in starts)]
    return _airliner(random, "hold", legs, climb_mps=5.0)


def _light(random: np.random.Generator) -> Plan:
    """Draw a small aircraft, low and slow, that goes where it likes."""
    speed, altitude = random.uniform(35, 75), random.uniform(400, 2500)
    legs = [Leg(0, 0, speed, altitude)]
    for start_s in _starts(random, 180.0):
        altitude = float(np.clip(altitude + random.normal(0, 250), 200, 3500))
        legs.append(Leg(start_s, random.normal(0, 0.9), speed * random.uniform(0.85, 1.1), altitude))
    wind = _wind(random, 4)
    return Plan("light", tuple(legs), 0.05, 0.8, 3.0, wind, 1.0, 1.5)


def _ship(random: np.random.Generator) -> Plan:
    """Steady for long, with course changes; some stop and drift, some get under way."""
    cruising = random.uniform(2, 13)
    speed = 0.0 if random.random() < 0.2 else cruising
    legs = [Leg(0, 0, speed, 0.0)]
    for start_s in _starts(random, 600.0):
        draw = random.random()
        speed = 0.0 if draw < 0.2 else cruising * random.uniform(0.5, 1.1) if draw < 0.5 else speed
        legs.append(Leg(start_s, random.normal(0, 0.5) if speed else 0.0, speed, 0.0))
    turn, acceleration = np.radians(random.uniform(0.2, 1.0)), random.uniform(0.01, 0.06)
    return Plan("ship", tuple(legs), turn, acceleration, 1.0, _wind(random, 0.4), 0.0, 0.1)


_DRAW: dict[str, Callable[[np.random.Generator], Plan]] = {
    "cruise": _cruise,
    "departure": _departure,
    "approach": _approach,
    "hold": _hold,
    "light": _light,
    "ship": _ship,
}


def _airliner(
    random: np.random.Generator,
    kind: str,
    legs: list[Leg],
    climb_mps: float,
    lively_s: float = LIFE_S,
    lands: bool = False,
) -> Plan:
    fast = max(leg.speed_mps for leg in legs) > 180 and kind == "cruise"
    # a turn of bank b at speed v turns by g tan(b) / v; below 130 m/s that is the standard rate or less
    turn = np.radians(random.uniform(0.8, 1.3) if fast else random.uniform(1.4, 2.6))
    wind = _wind(random, 6)
    return Plan(
        kind, tuple(legs), turn, random.uniform(0.15, 0.5), climb_mps, wind, 3.0, 1.5, lively_s, lands
    )


def _starts(random: np.random.Generator, mean_s: float) -> list[float]:
    """Draw times in the life of a vehicle."""
    gaps = random.exponential(mean_s, size=int(4 * LIFE_S / mean_s) + 8)
    return [float(time_s) for time_s in np.cumsum(gaps) if time_s < LIFE_S]


def _bend_rad(random: np.random.Generator) -> float:
    """Draw the bend of an airway: mostly nothing or a few degrees."""
    size = random.choice([0.0, 5.0, 15.0, 40.0], p=[0.25, 0.25, 0.3, 0.2])
    return float(np.radians(random.normal(0, size)) if size else 0.0)


def _vector_rad(random: np.random.Generator, size_deg: float) -> float:
    """Draw a controller's vector near an airport; some are none."""
    return float(np.radians(random.normal(0, size_deg))) if random.random() < 0.75 else 0.0


def _turn_rad(random: np.random.Generator, low_deg: float, high_deg: float) -> float:
    return float(np.radians(random.uniform(low_deg, high_deg)) * random.choice([-1.0, 1.0]))


def _wind(random: np.random.Generator, spread_mps: float) -> FloatArray:
    return random.normal(0, spread_mps, size=2)
