"""Drift, retrainings and promotions of a running system, read over HTTP, as events. Pure.

Each poll yields all events so far, each under a key; a reader passes over the keys that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Retraining
from deployments.monitoring.view import MonitorPage

# the elapsed seconds of a moment
Elapsed = Callable[[datetime], float]


@dataclass(frozen=True)
class Event:
    """An event of the demonstration.

    Attributes:
        at_s: seconds since the first request.
        kind: one word, the same for all events of a kind.
        text: in words, with the numbers that matter.
        subject: the detector or the arm that it is about; empty where it is about all.
        numbers: those of its source.
    """

    at_s: float
    kind: str
    text: str
    subject: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """The answers of one poll; `monitor` is None before the Monitor's first evaluation."""

    at_s: float
    monitor: MonitorPage | None = None
    retrainings: Sequence[Retraining] = ()
    promotions: Sequence[Promotion] = ()


Observation = tuple[Hashable, Event]

_WORDS = {
    "shadowing": "gets copies of the requests of {arm}",
    "promoting": "is about to take over",
    "probation": "serves {arm} now; the version before gets the copies",
    "kept": "stays: {reason}",
    "rejected": "is rejected: {reason}",
    "rolling_back": "goes back: {reason}",
    "rolled_back": "is gone, the version before serves again",
    "superseded": "is out of the running: {reason}",
    "aborting": "is about to end where it is: {reason}",
    "aborted": "has ended where it was: {reason}",
}


def observe(snapshot: Snapshot, elapsed: Elapsed) -> list[Observation]:
    """Return all events so far, in the order of time."""
    found = [*_drift(snapshot, elapsed)]
    for retraining in snapshot.retrainings:
        found += _retraining(retraining, snapshot.at_s, elapsed)
    for promotion in snapshot.promotions:
        found += _promotion(promotion, elapsed)
    return sorted(found, key=lambda fact: fact[1].at_s)


def _drift(snapshot: Snapshot, elapsed: Elapsed) -> Iterator[Observation]:
    for one in snapshot.monitor.drift if snapshot.monitor else ():
        if one.since is None:
            continue
        kind = "ok" if one.state == "ok" else "drifting"
        subject = f"{one.kind} {one.subject}".strip()
        yield (one.kind, one.subject, one.since), Event(elapsed(one.since), kind, one.reason, subject)


def _retraining(one: Retraining, now_s: float, elapsed: Elapsed) -> Iterator[Observation]:
    first = one.requests[0]
    yield (one.id, "asked"), Event(elapsed(one.created_at), "asked", first.note or first.reason)
    for attempt in one.attempts:
        since = f", on requests since {elapsed(one.since):.0f} s" if one.since else ""
        text = f"attempt {len(one.attempts)}{since}" if len(one.attempts) > 1 else f"a Ray Job{since}"
        yield (attempt.job, "job"), Event(elapsed(attempt.at), "job", text)
    ended_s = now_s if one.ended_at is None else elapsed(one.ended_at)
    for arm, result in one.arms.items():
        kind = "passed" if result.passed else "archived"
        text = f"{arm} {result.model_version}: {' '.join(result.reasons)}"
        yield (one.id, "gate", arm), Event(min(now_s, ended_s), kind, text, arm, result.numbers)
    if one.ended_at is not None:
        failed = one.state == "failed"
        text = one.failure or "" if failed else f"{len(one.arms)} models in {_lasted_s(one):.0f} s"
        yield (one.id, "ended"), Event(ended_s, "failed" if failed else "done", text)


def _lasted_s(one: Retraining) -> float:
    assert one.ended_at is not None, "it has ended"
    return (one.ended_at - (one.started_at or one.created_at)).total_seconds()


def _promotion(one: Promotion, elapsed: Elapsed) -> Iterator[Observation]:
    name = f"{one.arm} {one.model_version}"
    for number, interim in enumerate(one.looks):
        where = "in the shadow" if interim.phase == "shadowing" else "on probation"
        text = f"{name} {where}, on {interim.truths} truths: {' '.join(interim.reasons)}"
        kind = "better" if interim.phase == "shadowing" and interim.passed else "compared"
        yield (one.id, "look", number), Event(elapsed(interim.at), kind, text, one.arm, interim.numbers)
    words = _WORDS.get(one.state)
    if words is not None:
        text = f"{name} {words.format(arm=one.arm, reason=one.reason or '')}"
        yield (one.id, one.state), Event(elapsed(one.state_since), one.state, text, one.arm)
