"""The observations of a burst test, and what they say of the scaling. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.burst.phases import BurstPlan, Phase

MOST_CHANGES = 1


@dataclass(frozen=True)
class Ended:
    """A request that has ended.

    Attributes:
        due_s: when it was to be sent, since the test began.
        latency_s: from then to its end, so that a system that falls behind cannot hide it.
        error: why it has no answer; empty when it has.
    """

    due_s: float
    latency_s: float
    error: str = ""


@dataclass(frozen=True)
class Seen:
    """Numbers of replicas of each deployment that take requests, at a time."""

    at_s: float
    running: Mapping[str, int]


@dataclass
class Timeline:
    """Observations of a test, in order of time."""

    ended: list[Ended] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def counts(self, deployment: str, phase: Phase) -> list[int]:
        """Replicas during a phase, one number a look; looks before the first are left out."""
        return [one.running.get(deployment, 0) for one in self.seen if phase.holds(one.at_s)]


@dataclass(frozen=True)
class Course:
    """The course of one deployment in one round.

    Attributes:
        most: replicas at the same time.
        out_s: from the burst's begin until there was more than one replica; None: never.
        back_s: from the burst's end until there was one again, for good; None: not by the end of the round.
        burst_changes, idle_changes: of direction, in each phase.
    """

    round: int
    deployment: str
    most: int
    out_s: float | None
    back_s: float | None
    burst_changes: int
    idle_changes: int


@dataclass(frozen=True)
class Seconds:
    """A number a second: answers that came, and the 99th percentile of latency of those due (NaN: none)."""

    at_s: NDArray[np.float64]
    rate: NDArray[np.float64]
    p99_ms: NDArray[np.float64]


def direction_changes(counts: Iterable[int]) -> int:
    """Return how often a course of numbers turns: 1 2 2 1 once, 1 2 3 never."""
    turns, last, way = 0, None, 0
    for count in counts:
        step = 0 if last is None else (count > last) - (count < last)
        last = count
        if step and way and step != way:
            turns += 1
        way = step or way
    return turns


def courses(timeline: Timeline, plan: BurstPlan, deployments: Sequence[str]) -> list[Course]:
    """Return a course for each round and deployment, by rounds."""
    phases = plan.phases()
    return [
        _course(timeline, burst, idle, deployment)
        for burst, idle in zip(phases[::2], phases[1::2], strict=True)
        for deployment in deployments
    ]


def per_second(ended: Sequence[Ended], duration_s: float) -> Seconds:
    """Return the whole test in steps of one second."""
    at_s = np.arange(int(np.ceil(duration_s)), dtype=np.float64)
    answered = [one for one in ended if not one.error]
    due = np.array([one.due_s for one in answered], np.float64).astype(np.int64)
    latency_ms = 1000 * np.array([one.latency_s for one in answered], np.float64)
    came = np.array([one.due_s + one.latency_s for one in answered], np.float64).astype(np.int64)
    rate = np.bincount(came, minlength=len(at_s))[: len(at_s)].astype(np.float64)
    p99_ms = np.full(len(at_s), np.nan)
    for second in np.unique(due[due < len(at_s)]):
        p99_ms[second] = np.percentile(latency_ms[due == second], 99)
    return Seconds(at_s, rate, p99_ms)


def problems(timeline: Timeline, found: Sequence[Course]) -> list[str]:
    """Every way in which the test was not passed, for people."""
    errors = [one.error for one in timeline.ended if one.error]
    failures = [f"{len(errors)} requests of {len(timeline.ended)} failed: {errors[0]}"] if errors else []
    for one in found:
        where = f"round {one.round}, {one.deployment}"
        if one.out_s is None:
            failures.append(f"{where}: never more than one replica")
        elif one.back_s is None:
            failures.append(f"{where}: not back to one replica at the end")
        for phase, changes in (("burst", one.burst_changes), ("idle", one.idle_changes)):
            if changes > MOST_CHANGES:
                failures.append(f"{where}: {changes} changes of direction in its {phase} phase")
    return failures


def _course(timeline: Timeline, burst: Phase, idle: Phase, deployment: str) -> Course:
    out = [one.at_s for one in timeline.seen if burst.holds(one.at_s) and one.running.get(deployment, 0) > 1]
    more = [one.at_s for one in timeline.seen if idle.holds(one.at_s) and one.running.get(deployment, 0) > 1]
    after = [one.at_s for one in timeline.seen if idle.holds(one.at_s) and one.at_s > max(more, default=0.0)]
    in_burst, in_idle = timeline.counts(deployment, burst), timeline.counts(deployment, idle)
    return Course(
        round=burst.round,
        deployment=deployment,
        most=max([*in_burst, *in_idle], default=0),
        out_s=out[0] - burst.begin_s if out else None,
        back_s=after[0] - idle.begin_s if after else None,
        burst_changes=direction_changes(in_burst),
        idle_changes=direction_changes(in_idle),
    )
