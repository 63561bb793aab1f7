"""Simulated rocket flights as an altimeter would have logged them.

RocketPy (Ceotto et al. 2021, doi:10.1061/(ASCE)AS.1943-5525.0001331) integrates a randomised rocket to its
apogee (`flights.py`, `designs.py`), and `sensors.py` turns the true altitude into a log. A task makes a
batch of flights, each from its own seed, so the records do not depend on how the batches were spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from features.contract import Contract
from training.sources.base import LOG, WEIGHT, Mapper, Progress
from training.sources.simulation.flights import Flight, FlightError, simulate_flight
from training.sources.simulation.sensors import Log, draw_logger, record

_BATCH = 10
_ATTEMPTS = 20
# What is learnt: the coast. Samples under thrust count for little, since nothing tells when it will end.
_THRUST_WEIGHT = 0.02


@dataclass(frozen=True)
class Names:
    """Columns of the records."""

    entity: str
    target: str


@dataclass(frozen=True)
class RocketSource:
    """`flights` simulated flights; `logs_per_flight` altimeters fly in each, all with one entity."""

    names: Names
    flights: int
    logs_per_flight: int
    seed: int
    revision: str = "3"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records, in the order of the flights."""
        batches = [range(i, min(i + _BATCH, self.flights)) for i in range(0, self.flights, _BATCH)]

        def scaled(done: int, total: int) -> None:
            progress(min(done * _BATCH, self.flights), self.flights)

        tables = mapper(partial(simulate_batch, self.names, self.logs_per_flight, self.seed), batches, scaled)
        return pd.concat(tables, ignore_index=True)


def make_source(
    contract: Contract, flights: int = 800, logs_per_flight: int = 2, seed: int = 0
) -> RocketSource:
    """Make the source for a contract, from the options in its YAML file."""
    return RocketSource(Names(contract.entity, contract.target.name), flights, logs_per_flight, seed)


def simulate_batch(names: Names, logs_per_flight: int, seed: int, indices: range) -> pd.DataFrame:
    """Simulate the flights with these indices."""
    tables = []
    for index in indices:
        flight, logs = fly(seed, index, logs_per_flight)
        tables += [_records(names, f"{seed}-{index:05d}", str(i), flight, log) for i, log in enumerate(logs)]
    return pd.concat(tables, ignore_index=True)


def fly(seed: int, index: int, logs: int) -> tuple[Flight, list[Log]]:
    """Flight number `index` of a seed, logged by several altimeters: designs are drawn until one flies.

    Raises:
        FlightError: none did.
    """
    for attempt in range(_ATTEMPTS):
        generator = np.random.default_rng([seed, index, attempt])
        try:
            flight = simulate_flight(generator)
        except FlightError:
            continue
        return flight, [record(flight, draw_logger(generator), generator) for _ in range(logs)]
    raise FlightError(f"flight {index} of seed {seed}: none of {_ATTEMPTS} designs flew")


def _records(names: Names, entity: str, name: str, flight: Flight, log: Log) -> pd.DataFrame:
    coasting = np.where(log.time_s > flight.burn_out_s, 1.0, _THRUST_WEIGHT)
    # an error in the height still to climb matters in proportion to it
    left = np.clip(1 - log.altitude_m / log.apogee_m, 0.02, 1.0)
    return pd.DataFrame(
        {
            names.entity: entity,
            LOG: name,
            "time_s": log.time_s,
            "altitude_m": log.altitude_m,
            names.target: log.apogee_m,
            WEIGHT: coasting * left,
        }
    )
