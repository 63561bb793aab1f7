"""The steps of a retraining, as functions from value to value. Pure.

               ask                    start                   confirm             observe
    (nothing) -----> waiting -----> submitting -----> running ---------> done
                       ^ ask          ^   | observe: the job died  |
                       | (merged)     +---+------------------------+---> failed, after the last attempt

`deployments.lifecycle.retraining_decisions` says when each is taken. It is applied in a transaction on the
row that is there, and what the row then asks for is done afterwards. A lifecycle controller killed anywhere
goes on from the row: a job is handed to Ray under an id that was written before, which Ray takes once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from deployments.domain.audit import LIFECYCLE_CONTROLLER
from deployments.domain.retraining import Attempt, Request, Retraining
from training.runtime.journal_query import JournalQuery
from training.runtime.retraining_config import RetrainingConfig

# The state of a job in Ray; it is unknown when it was never submitted, or the cluster is another one by now.
JobState = Literal["unknown", "alive", "succeeded", "died"]

# A row holds no more: anyone with the key may ask as often as they like.
MOST_REQUESTS = 20
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class StartConditions:
    """Counts and times that decide whether a retraining may start.

    Attributes:
        truths: pairs of the journal that could be learnt from, counted up to what is asked for.
        new_truths: of them, those after the ones that the last retraining saw.
        last_end: when the last retraining ended, if there was one.
        starts: when earlier ones started, of the last day at least.
    """

    truths: int
    new_truths: int
    last_end: datetime | None = None
    starts: tuple[datetime, ...] = ()


def add_request(there: Retraining | None, workload: str, new_id: str, request: Request) -> Retraining:
    """Return the request as a new retraining, or merged into the one that is open."""
    if there is not None and there.is_open:
        return _merge(there, request)
    return Retraining(
        id=new_id, workload=workload, state="waiting", requests=(request,), created_at=request.at
    )


def _merge(there: Retraining, request: Request) -> Retraining:
    """Add a request. Of many the oldest go that decide nothing, and are counted."""
    requests = [*there.requests, request]
    while len(requests) > MOST_REQUESTS:
        deciding = _deciding(requests)
        del requests[next(number for number in range(len(requests)) if number not in deciding)]
    more = there.more_requests + len(there.requests) + 1 - len(requests)
    return there.model_copy(update={"requests": tuple(requests), "more_requests": more})


def _deciding(requests: Sequence[Request]) -> set[int]:
    """Return the places of the requests that anything depends on: the first, and the last of each kind."""
    places = range(len(requests))
    kinds = (
        [place for place in places if requests[place].reason == "by hand"],
        [place for place in places if requests[place].reason == "drift"],
        [place for place in places if requests[place].event],
        sorted(
            (place for place in places if requests[place].since),
            key=lambda place: requests[place].since or requests[place].at,
        ),
    )
    return {0, len(requests) - 1, *(kind[-1] for kind in kinds if kind)}


def waits_for(
    config: RetrainingConfig, retraining: Retraining, conditions: StartConditions, now: datetime
) -> str | None:
    """Return the first condition that does not hold; None when it may start.

    Somebody who asks by hand has seen how things are: no cooldown, and the truths need not be new.
    """
    by_hand = any(request.reason == "by hand" for request in retraining.requests)
    started = sorted(start for start in conditions.starts if now - start < _DAY)
    if len(started) >= config.jobs_per_day:
        again = started[-config.jobs_per_day] + _DAY
        return f"the budget: {len(started)} of {config.jobs_per_day} a day are spent until {_minute(again)}"
    if not by_hand and conditions.last_end is not None:
        again = conditions.last_end + timedelta(minutes=config.cooldown_min)
        if now < again:
            return f"the cooldown, until {_minute(again)}"
    truths, kind = (conditions.truths, "") if by_hand else (conditions.new_truths, "new ")
    if truths < config.min_truths:
        return f"{kind}truths: there are {truths}, and {config.min_truths} are needed"
    return None


def start(retraining: Retraining, now: datetime, query: JournalQuery | None = None) -> Retraining:
    """Begin the next attempt, which is about to be submitted; the first one fixes what is learnt from."""
    number = len(retraining.attempts) + 1
    attempt = Attempt(job=f"retrain-{retraining.id}-{number}", at=now)
    return retraining.model_copy(
        update={
            "state": "submitting",
            "waits_for": None,
            "attempts": (*retraining.attempts, attempt),
            "started_at": retraining.started_at or now,
            "query": retraining.query or query,
        }
    )


def confirm(retraining: Retraining) -> Retraining:
    """Go on with a retraining whose job Ray has."""
    return retraining.model_copy(update={"state": "running"})


def observe(
    config: RetrainingConfig, retraining: Retraining, job: JobState, message: str, now: datetime
) -> Retraining:
    """Follow the last job of a running retraining.

    Args:
        config: how many attempts there are.
        retraining: it may have ended: a job writes its own verdicts.
        job: its state; a job that is unknown to Ray is dead.
        message: why it died.
        now: the time.
    """
    if retraining.state != "running" or job == "alive":
        return retraining
    end = message if job == "died" else "it ended without a verdict" if job == "succeeded" else "Ray lost it"
    *before, last = retraining.attempts
    dead = retraining.model_copy(update={"attempts": (*before, last.model_copy(update={"end": end}))})
    if len(dead.attempts) < config.attempts:
        return start(dead, now)
    return dead.model_copy(update={"state": "failed", "failure": end, "ended_at": now})


def finish(retraining: Retraining, now: datetime, failure: str | None = None) -> Retraining:
    """End a retraining whose job has done its work, or names why no attempt can."""
    *before, last = retraining.attempts
    end = "succeeded" if failure is None else failure
    return retraining.model_copy(
        update={
            "state": "done" if failure is None else "failed",
            "failure": failure,
            "ended_at": now,
            "attempts": (*before, last.model_copy(update={"end": end})),
        }
    )


def follow_up(ended: Retraining) -> Request | None:
    """Return the drift that came while it ran, if no new model came of it: its truths were not seen yet."""
    if ended.is_open or ended.started_at is None or any(arm.passed for arm in ended.arms.values()):
        return None
    late = [one for one in ended.requests if one.reason == "drift" and one.at > ended.started_at]
    return late[-1] if late else None


def second_try(ended: Retraining, erring: Collection[str], now: datetime) -> Request | None:
    """Ask once more for a drift of which some arms still err.

    On few truths, even a much better model may not be shown to be one.

    Args:
        ended: the latest retraining. One that was a second try itself, without an event of its own, has none.
        erring: arms that the Monitor sees drifting.
        now: the time.
    """
    if ended.state != "done" or not any(one.event for one in ended.requests):
        return None
    arms = sorted(arm for arm, result in ended.arms.items() if not result.passed and arm in erring)
    if not arms:
        return None
    note = f"no better model yet, and still drifting: {', '.join(arms)}"
    return Request(reason="drift", at=now, by=LIFECYCLE_CONTROLLER, note=note, since=ended.since)


def routine(
    config: RetrainingConfig, last: Retraining | None, first_truth: datetime | None, now: datetime
) -> Request | None:
    """Return the request of the routine check, when it is due.

    Args:
        config: how often.
        last: the latest retraining, which is not open.
        first_truth: when the oldest prediction that has its truth was made.
        now: the time.
    """
    began = last.created_at if last else first_truth
    if config.every_h is None or began is None or now - began < timedelta(hours=config.every_h):
        return None
    return Request(
        reason="schedule",
        at=now,
        by=LIFECYCLE_CONTROLLER,
        note=f"{config.every_h:g} h since {_minute(began)}",
    )


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
