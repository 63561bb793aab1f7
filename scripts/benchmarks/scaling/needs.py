"""The needs of larger rates, from what 1,000 requests cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.benchmarks.scaling.parts import ARM, HAPROXY, ROUTER, SCALER

# the share of a core that a replica is planned to use: what is left takes the peaks
PLANNED_USE = 0.6
NODE_CORES = 16


@dataclass(frozen=True)
class Need:
    """The need of a rate.

    Attributes:
        replicas: by part that has replicas, each a process that uses at most one core.
        cores: in all, at `PLANNED_USE`.
        nodes: of `NODE_CORES` cores.
        journal_mb_per_s: rows that the store takes.
    """

    rate: float
    replicas: Mapping[str, int]
    cores: float
    nodes: int
    journal_mb_per_s: float


def needs(rate: float, cpu_s_per_1000: Mapping[str, float], journal_bytes: float) -> Need:
    """Return the need of a rate in requests/s.

    Args:
        cpu_s_per_1000: processor time of each part for 1,000 requests. That of the rest (Serve's
            controller, Ray, the lifecycle controller) hardly grows with the rate: a core of each node is left
            for it.
        journal_bytes: of one prediction in the store.
    """
    replicas = {
        part: max(1, math.ceil(rate / 1000 * cpu_s_per_1000[part] / PLANNED_USE - 1e-9))
        for part in (ROUTER, SCALER, ARM)
    }
    serving = sum(cpu_s_per_1000[part] for part in (ROUTER, SCALER, ARM, HAPROXY))
    cores = rate / 1000 * serving / PLANNED_USE
    # one core of a node is for Ray and the system
    nodes = max(1, math.ceil(cores / (NODE_CORES - 1) - 1e-9))
    return Need(rate, replicas, cores, nodes, rate * journal_bytes / 1e6)
