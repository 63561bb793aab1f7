"""Decides about retrainings: which drift asks for one, when one starts, and what follows its job. Pure.

The steps themselves are `deployments.domain.retraining_transitions`. Here is when each of them is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from deployments.domain import retraining_transitions as transitions
from deployments.domain.retraining import Request, Retraining
from deployments.domain.retraining_transitions import JobState
from deployments.lifecycle.observation import RetrainingObservation
from deployments.store.monitor_feed import DriftEvent
from training.runtime.journal_query import JournalQuery
from training.runtime.retraining_config import RetrainingConfig

# A feed that breaks is no reason to learn from it.
_RETRAINED_FOR = ("input", "concept", "calibration")
# Drift of single arms, whose subject is the arm.
_OF_ARMS = ("concept", "calibration")


@dataclass(frozen=True)
class RequestRetraining:
    """A request becomes a retraining, or is merged into the one that is open."""

    request: Request

    @property
    def reason(self) -> str:
        """Return what made the request."""
        return self.request.note


@dataclass(frozen=True)
class RecordWaiting:
    """A retraining that does not start yet names the condition that does not hold."""

    seen: Retraining
    reason: str


@dataclass(frozen=True)
class StartAttempt:
    """The row fixes the data and the id of the next job, before there is one."""

    seen: Retraining
    query: JournalQuery
    at: datetime
    reason: str


@dataclass(frozen=True)
class SubmitJob:
    """Ray gets the last job of a row that is about to submit it; the row says so afterwards."""

    seen: Retraining
    reason: str


@dataclass(frozen=True)
class EndAttempt:
    """The job of a running retraining has ended: the next attempt, or the end."""

    seen: Retraining
    job: JobState
    message: str
    at: datetime

    @property
    def reason(self) -> str:
        """Return how the job ended."""
        return self.message or self.job


RetrainingAction = RequestRetraining | RecordWaiting | StartAttempt | SubmitJob | EndAttempt


def decide_requests(events: Iterable[DriftEvent], now: datetime) -> tuple[RequestRetraining, ...]:
    """Return a request for every event that is a reason to learn again, in order."""
    return tuple(
        RequestRetraining(
            Request(
                reason="drift",
                at=now,
                by="monitor",
                note=f"{event.kind}: {event.reason}",
                since=event.at,
                event=event.seq,
            )
        )
        for event in events
        if is_drifting(event) and event.kind in _RETRAINED_FOR
    )


def drifting_arms(last_events: Iterable[DriftEvent]) -> frozenset[str]:
    """Return the arms of which a detector says that they drift.

    Args:
        last_events: the last change of each detector.
    """
    return frozenset(event.subject for event in last_events if is_drifting(event) and event.kind in _OF_ARMS)


def is_drifting(event: DriftEvent) -> bool:
    """Return whether the detector has begun to see drift."""
    return event.state == "drifting"


def decide_retraining(config: RetrainingConfig, seen: RetrainingObservation) -> tuple[RetrainingAction, ...]:
    """Return what the newest retraining of a workload calls for, in order; nothing while it waits or runs."""
    newest = seen.past[0] if seen.past else None
    if newest is None or not newest.is_open:
        return _request_again(config, newest, seen)
    if newest.state == "waiting":
        return _start_if_due(config, newest, seen)
    if newest.state == "submitting":
        return (SubmitJob(newest, "It was about to be submitted."),)
    return _follow_job(config, newest, seen)


def _request_again(
    config: RetrainingConfig, last: Retraining | None, seen: RetrainingObservation
) -> tuple[RetrainingAction, ...]:
    """Ask for what the last retraining left open, or for the routine check."""
    request = None
    if last is not None:
        request = transitions.follow_up(last) or transitions.second_try(last, seen.drifting_arms, seen.now)
    request = request or transitions.routine(config, last, seen.first_truth, seen.now)
    return () if request is None else (RequestRetraining(request),)


def _start_if_due(
    config: RetrainingConfig, waiting: Retraining, seen: RetrainingObservation
) -> tuple[RetrainingAction, ...]:
    if seen.query is None or seen.conditions is None:
        return ()
    why = transitions.waits_for(config, waiting, seen.conditions, seen.now)
    if why is not None:
        return () if why == waiting.waits_for else (RecordWaiting(waiting, why),)
    started = transitions.start(waiting, seen.now, seen.query)
    reason = "It waits for nothing any more."
    return StartAttempt(waiting, seen.query, seen.now, reason), SubmitJob(started, reason)


def _follow_job(
    config: RetrainingConfig, running: Retraining, seen: RetrainingObservation
) -> tuple[RetrainingAction, ...]:
    if seen.job is None or seen.job[0] == "alive":
        return ()
    state, message = seen.job
    ended = EndAttempt(running, state, message, seen.now)
    moved = transitions.observe(config, running, state, message, seen.now)
    return (ended, SubmitJob(moved, ended.reason)) if moved.state == "submitting" else (ended,)
