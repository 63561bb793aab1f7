"""What a running system tells over HTTP about drift, retrainings and promotions, as events. Pure.

Everything that has happened is told each time, under a key; who has told of a key before passes it over.
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
    """Something that happened.

    Attributes:
        at_s: seconds since the first request.
        kind: one word, the same for all events of a kind.
        text: in words, with the numbers that matter.
        subject: the detector or the arm that it is about; empty where it is about all.
        numbers: as they were told.
    """

    at_s: float
    kind: str
    text: str
    subject: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """The answers of one look; `monitor` is None before the Monitor has looked."""

    at_s: float
    monitor: MonitorPage | None = None
    retrainings: Sequence[Retraining] = ()
    promotions: Sequence[Promotion] = ()


Observation = tuple[Hashable, Event]

_WORDS = {
    "shadowing": "gets copies of what {arm} is asked",
    "promoting": "is about to take over",
    "probation": "serves {arm} now; the version before gets the copies",
    "kept": "stays: {reason}",
    "rejected": "is rejected: {reason}",
    "rolling_back": "goes back: {reason}",
    "rolled_back": "is gone, the version before serves again",
    "superseded": "is out of the running: {reason}",
}


def observe(seen: Seen, elapsed: Elapsed) -> list[Observation]:
    """All of them, in the order of time."""
    found = [*_drift(seen, elapsed)]
    for retraining in seen.retrainings:
        found += _retraining(retraining, seen.at_s, elapsed)
    for promotion in seen.promotions:
        found += _promotion(promotion, elapsed)
    return sorted(found, key=lambda fact: fact[1].at_s)


def _drift(seen: Seen, elapsed: Elapsed) -> Iterator[Observation]:
    for one in seen.monitor.drift if seen.monitor else ():
        if one.since is None:
            continue
        kind = "ok" if one.state == "ok" else "drifting"
        subject = f"{one.kind} {one.subject}".strip()
        yield (one.kind, one.subject, one.since), Event(elapsed(one.since), kind, one.reason, subject)


def _retraining(one: Retraining, now_s: float, elapsed: Elapsed) -> Iterator[Observation]:
    first = one.requests[0]
    yield (one.id, "asked"), Event(elapsed(one.created_at), "asked", first.note or first.reason)
    for attempt in one.attempts:
        since = f", on what was asked since {elapsed(one.since):.0f} s" if one.since else ""
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
    for number, look in enumerate(one.looks):
        where = "in the shadow" if look.phase == "shadowing" else "on probation"
        text = f"{name} {where}, on {look.truths} truths: {' '.join(look.reasons)}"
        kind = "better" if look.phase == "shadowing" and look.passed else "compared"
        yield (one.id, "look", number), Event(elapsed(look.at), kind, text, one.arm, look.numbers)
    words = _WORDS.get(one.state)
    if words is not None:
        text = f"{name} {words.format(arm=one.arm, reason=one.reason or '')}"
        yield (one.id, one.state), Event(elapsed(one.state_since), one.state, text, one.arm)
