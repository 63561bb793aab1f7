"""Rounds of load and their medians, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from scripts.benchmarks.bench.wrk import Load


@dataclass(frozen=True)
class Round:
    """The measurements of a round.

    Attributes:
        cpu_s: processor time of the server and its children during it.
        memory_bytes: proportional set size of the same right after it.
    """

    load: Load
    cpu_s: float
    memory_bytes: int

    @property
    def cpu_s_per_1000(self) -> float:
        """Per 1,000 answered requests; infinite when none was."""
        return self.cpu_s * 1000 / self.load.answered if self.load.answered else float("inf")


@dataclass(frozen=True)
class Measured:
    """The medians of the rounds of one contender with one arm at one number of connections.

    Attributes:
        errors: of all rounds together.
    """

    contender: str
    arm: str
    connections: int
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    cpu_s_per_1000: float
    memory_bytes: float


@dataclass(frozen=True)
class ContenderFailed:
    """A contender that could not be measured with an arm, and why."""

    contender: str
    arm: str
    why: str


def medians(contender: str, arm: str, connections: int, rounds: Sequence[Round]) -> Measured:
    """Return the median of each number by itself, and the sum of the errors.

    Raises:
        ValueError: no rounds.
    """
    if not rounds:
        raise ValueError("rounds: got none, expected at least 1")
    return Measured(
        contender=contender,
        arm=arm,
        connections=connections,
        rate=median(r.load.rate for r in rounds),
        p50_ms=median(r.load.p50_ms for r in rounds),
        p95_ms=median(r.load.p95_ms for r in rounds),
        p99_ms=median(r.load.p99_ms for r in rounds),
        errors=sum(r.load.errors for r in rounds),
        cpu_s_per_1000=median(r.cpu_s_per_1000 for r in rounds),
        memory_bytes=median(r.memory_bytes for r in rounds),
    )
