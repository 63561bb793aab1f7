"""Made-up aircraft and ships, all over the world: short pieces of what each does, as received.

The pieces are short and many, each at a place and with a heading of its own, so that a model learns how
vehicles move and not where. `path` takes recorded tracks in place of the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract
from features.geo import from_local
from features.targets import PathTarget
from training.sources.base import LOG, Mapper, Progress
from training.sources.files import RecordedFile
from training.sources.simulation.vehicle_motion import STEP_S, STEPS, Motion, move
from training.sources.simulation.vehicle_plans import Plan, draw_plan
from training.sources.simulation.vehicle_sensors import SAMPLE_S, receive
from training.sources.tracks import make_source as recorded_source

FloatArray = NDArray[np.float64]

_BATCH = 100
_PIECES, _PIECE_S = 8, 160.0
_EARLIEST_S, _LATEST_S = 1_500_000_000, 1_800_000_000


@dataclass(frozen=True)
class GeneratedVehicles:
    """`vehicles` made-up ones, each an entity with a few pieces of track."""

    contract: Contract
    vehicles: int
    seed: int
    revision: str = "1"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; see `training.sources.base.Source`."""
        batches = [range(i, min(i + _BATCH, self.vehicles)) for i in range(0, self.vehicles, _BATCH)]
        return pd.concat(
            mapper(partial(draw, self.contract, self.seed), batches, progress), ignore_index=True
        )


def make_source(
    contract: Contract, vehicles: int = 900, seed: int = 0, path: str | None = None
) -> GeneratedVehicles | RecordedFile:
    """Make the source for a contract from the options in its YAML file; `path` replaces the generator."""
    return recorded_source(contract, path) if path else GeneratedVehicles(contract, vehicles, seed)


def draw(contract: Contract, seed: int, vehicles: range) -> pd.DataFrame:
    """Draw the records of the vehicles with these numbers."""
    random = np.random.default_rng([seed, vehicles.start])
    plans = [draw_plan(random) for _ in vehicles]
    motion = move(plans, random)
    tables = []
    for row, (number, plan) in enumerate(zip(vehicles, plans, strict=True)):
        for piece in range(_PIECES):
            table = _piece(contract, motion, row, _first(motion, row, plan, random), random)
            table[contract.entity], table[LOG] = f"{plan.kind}-{number}", piece
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _first(motion: Motion, row: int, plan: Plan, random: np.random.Generator) -> int:
    """Draw the step that a piece begins with: before the landing, while there is something to see."""
    landed = np.flatnonzero(motion.landed[row])
    last = int(landed[0]) if landed.size else STEPS - int(_PIECE_S / STEP_S)
    return int(random.integers(0, max(min(last, int(plan.lively_s / STEP_S)), 1)))


def _piece(
    contract: Contract, motion: Motion, row: int, first: int, random: np.random.Generator
) -> pd.DataFrame:
    """Return a piece of the life of one vehicle, with the truth of each sample."""
    assert isinstance(contract.target, PathTarget)
    steps = np.arange(first, min(first + int(_PIECE_S / STEP_S), STEPS), int(SAMPLE_S / STEP_S))
    origin, turned = _origin(random), _turned(random.uniform(0, 2 * np.pi))
    local: FloatArray = (motion.local_m[row] - motion.local_m[row, first]) @ turned
    start_s = float(random.integers(_EARLIEST_S, _LATEST_S))
    received = receive(
        (start_s + (steps - first) * STEP_S).astype(np.float64),
        local[steps],
        np.asarray(motion.velocity_mps[row, steps] @ turned, np.float64),
        motion.altitude_m[row, steps],
        motion.climb_mps[row, steps],
        random,
    )
    place = from_local(origin, received.local_m)
    samples = {"latitude": place[:, 0], "longitude": place[:, 1]}
    samples |= {name: values for name, values in vars(received).items() if name != "local_m"}
    now = first + np.round((received.time_s - start_s) / STEP_S).astype(int)
    truth: list[FloatArray] = []
    for horizon_s in contract.target.horizons_s:
        then = np.minimum(now + int(horizon_s / STEP_S), STEPS - 1)
        known = now + int(horizon_s / STEP_S) < STEPS
        values = (*from_local(origin, local[then]).T, motion.altitude_m[row, then])
        truth += [np.where(known, value, np.nan) for value in values]
    return pd.DataFrame(samples | dict(zip(contract.target_columns, truth, strict=True)))


def _origin(random: np.random.Generator) -> FloatArray:
    """Draw a place, all of the globe alike."""
    return np.array([np.degrees(np.arcsin(random.uniform(-1, 1))), random.uniform(-180, 180)])


def _turned(angle: float) -> FloatArray:
    """(2, 2) by which rows of east and north are turned."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
