"""Simulated tracks of what comes back from space, and of what does not.

Capsules, boosters and upper stages come down (`spaceflights.py`); ascents, orbits, aircraft and balloons do
not. Each track is seen by one sensor of its own (`sightings.py`), so that no track that a model is judged on
was seen by it through another one. Every track has its own seed: the records do not depend on how the tracks
were spread over tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from features.contract import Contract
from training.sources.base import Mapper, Progress
from training.sources.simulation.air_traffic import aircraft, balloon
from training.sources.simulation.sightings import (
    EDGE_OF_SPACE_M,
    TruePath,
    draw_sensor,
    observe,
    true_path,
    with_rests,
)
from training.sources.simulation.spaceflights import FLIGHTS

_BATCH = 25
_ATTEMPTS = 50
_FEWEST_POINTS = 12
# What has come down was seen at least this low.
_DOWN_M = 20_000.0
_FALLING = ("capsule", "upper_stage", "booster", "hop")
_SHARES = {
    "capsule": 0.09,
    "upper_stage": 0.08,
    "booster": 0.25,
    "hop": 0.07,
    "ascent": 0.07,
    "orbit": 0.04,
    "transfer": 0.05,
    "aircraft": 0.30,
    "balloon": 0.05,
}


@dataclass(frozen=True)
class CapsuleSource:
    """`tracks` simulated tracks, with the class of each point by name in `target`."""

    target: str
    tracks: int
    seed: int
    revision: str = "2"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records, in the order of the tracks."""
        batches = [range(i, min(i + _BATCH, self.tracks)) for i in range(0, self.tracks, _BATCH)]

        def scaled(done: int, total: int) -> None:
            progress(min(done * _BATCH, self.tracks), self.tracks)

        tables = mapper(partial(simulate_batch, self.target, self.seed), batches, scaled)
        return pd.concat(tables, ignore_index=True)


def make_source(contract: Contract, tracks: int = 1000, seed: int = 0) -> CapsuleSource:
    """Make the source for a contract, from the options in its YAML file."""
    return CapsuleSource(contract.target_columns[0], tracks, seed)


def simulate_batch(target: str, seed: int, indices: range) -> pd.DataFrame:
    """Simulate the tracks with these indices."""
    return pd.concat([_records(target, seed, index) for index in indices], ignore_index=True)


def draw_path(generator: np.random.Generator, kind: str) -> TruePath | None:
    """Draw a random path of a kind; None where one that shall come back from space does not."""
    if kind not in FLIGHTS:
        return aircraft(generator) if kind == "aircraft" else balloon(generator)
    path = true_path(FLIGHTS[kind](generator))
    highest_m, last_m = path.altitude_m.max(), path.altitude_m[-1]
    if kind in _FALLING and (highest_m <= EDGE_OF_SPACE_M or last_m > _DOWN_M):
        return None
    return with_rests(path, generator)


def _records(target: str, seed: int, index: int) -> pd.DataFrame:
    """Return the records of one track: paths are drawn until one fits and is seen often enough."""
    kind = str(np.random.default_rng([seed, index]).choice(list(_SHARES), p=list(_SHARES.values())))
    for attempt in range(_ATTEMPTS):
        generator = np.random.default_rng([seed, index, attempt])
        path = draw_path(generator, kind)
        if path is None:
            continue
        points = observe(path, draw_sensor(generator), generator)
        if len(points) < _FEWEST_POINTS:
            continue
        phase = np.where(points.pop("reentry"), "reentry", "nominal")
        names = {"track_id": f"{kind}-{seed}-{index:05d}", "sensor_id": f"S{generator.integers(1, 10)}"}
        return points.assign(**names, **{target: phase})
    raise RuntimeError(
        f"track {index} of seed {seed}: none of {_ATTEMPTS} {kind} paths was seen often enough"
    )
