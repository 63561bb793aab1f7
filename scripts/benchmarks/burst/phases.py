"""Phases of a burst test: when it is idle, and when it sends. Pure, in seconds since it began."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.replay.stream_schedule import Bursts, Schedule


@dataclass(frozen=True)
class Phase:
    """A burst, or the idle time after it.

    Attributes:
        round: counted from 1.
    """

    round: int
    is_burst: bool
    begin_s: float
    end_s: float

    def holds(self, at_s: float) -> bool:
        """Return whether the phase is on at this time."""
        return self.begin_s <= at_s < self.end_s


@dataclass(frozen=True)
class BurstPlan:
    """Idle for `lead_s`, then rounds of `burst_s` at `rate_per_s` and `idle_s` of nothing."""

    rounds: int = 3
    rate_per_s: float = 500.0
    burst_s: float = 60.0
    idle_s: float = 70.0
    lead_s: float = 10.0

    @property
    def duration_s(self) -> float:
        """Return the duration of the whole test."""
        return self.lead_s + self.rounds * (self.burst_s + self.idle_s)

    @property
    def requests(self) -> int:
        """Return the number of all requests."""
        return self.rounds * int(self.rate_per_s * self.burst_s)

    def schedule(self) -> Schedule:
        """Return when each request is due, counted from the end of `lead_s`."""
        pace = Bursts(self.rate_per_s, self.burst_s, self.idle_s)
        return Schedule(pace, truth_delay_s=0.0, requests=self.requests)

    def phases(self) -> tuple[Phase, ...]:
        """Return a burst and an idle time a round."""
        phases = []
        for number in range(self.rounds):
            begin_s = self.lead_s + number * (self.burst_s + self.idle_s)
            middle_s = begin_s + self.burst_s
            phases.append(Phase(number + 1, True, begin_s, middle_s))
            phases.append(Phase(number + 1, False, middle_s, middle_s + self.idle_s))
        return tuple(phases)
