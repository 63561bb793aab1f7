"""Retrainings are decided from one observation: a table of what is seen, and what is to be done, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain import retraining_transitions as transitions
from deployments.domain.drift_state import SettledState
from deployments.domain.retraining import ArmResult, Request, Retraining
from deployments.domain.retraining_transitions import JobState, StartConditions
from deployments.lifecycle.observation import RetrainingObservation
from deployments.lifecycle.retraining_decisions import (
    EndAttempt,
    RecordWaiting,
    RequestRetraining,
    StartAttempt,
    SubmitJob,
    decide_requests,
    decide_retraining,
    drifting_arms,
)
from deployments.store.monitor_feed import DriftEvent
from training.runtime.journal_query import JournalQuery
from training.runtime.retraining_config import RetrainingConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = RetrainingConfig(min_truths=10, jobs_per_day=2, cooldown_min=30, attempts=2, every_h=24)
QUERY = JournalQuery(workload="toy", schema_version="1.0", after=0, until=12)
ENOUGH, TOO_FEW = StartConditions(10, 10), StartConditions(9, 9)
WHY = "new truths: there are 9, and 10 are needed"


def waiting(waits_for: str | None = None, event: int | None = 7) -> Retraining:
    request = Request(reason="drift", at=NOW, by="monitor", since=NOW, event=event)
    requested = transitions.add_request(None, "toy", "1", request)
    return requested.model_copy(update={"waits_for": waits_for})


def submitting(attempts: int = 1) -> Retraining:
    there = transitions.start(waiting(), NOW, QUERY)
    for _ in range(attempts - 1):
        there = transitions.start(there, NOW)
    return there


def running(attempts: int = 1) -> Retraining:
    return transitions.confirm(submitting(attempts))


def ended(passed: bool = False) -> Retraining:
    result = ArmResult(model_version="2", bundle="sha256:2", passed=passed, reasons=(), numbers={})
    return transitions.finish(running().model_copy(update={"arms": {"linear": result}}), NOW)


def event(kind: str, state: SettledState, subject: str = "", seq: int = 3) -> DriftEvent:
    return DriftEvent(NOW - timedelta(hours=1), "toy", kind, subject, state, "it is warmer", {}, seq)


def test_each_drift_worth_learning_from_asks_in_order() -> None:
    events = [
        event("input", "drifting", seq=3),
        event("quality", "drifting", seq=4),
        event("concept", "ok", "linear", seq=5),
        event("calibration", "drifting", "mlp", seq=6),
    ]
    found = [action.request for action in decide_requests(events, NOW)]
    assert [(one.note, one.event) for one in found] == [
        ("input: it is warmer", 3),
        ("calibration: it is warmer", 6),
    ]
    assert {(one.reason, one.by, one.at, one.since) for one in found} == {
        ("drift", "monitor", NOW, NOW - timedelta(hours=1))
    }


def test_arms_drift_by_the_detectors_of_arms() -> None:
    last = [
        event("concept", "drifting", "linear"),
        event("concept", "ok", "mlp"),
        event("input", "drifting"),
        event("calibration", "drifting", "boosting"),
    ]
    assert drifting_arms(last) == {"linear", "boosting"}


def test_a_retraining_that_may_start_is_a_row_and_then_a_job() -> None:
    there = waiting(WHY)
    start, submit = decide_retraining(
        CONFIG, RetrainingObservation(NOW, (there,), query=QUERY, conditions=ENOUGH)
    )
    assert start == StartAttempt(there, QUERY, NOW, "It waits for nothing any more.")
    assert isinstance(submit, SubmitJob)
    assert (submit.seen.state, submit.seen.attempts[-1].job) == ("submitting", "retrain-1-1")
    assert submit.seen == transitions.start(there, NOW, QUERY)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (waiting(), (RecordWaiting(waiting(), WHY),)),
        (waiting("else"), (RecordWaiting(waiting("else"), WHY),)),
    ],
)
def test_a_retraining_that_waits_says_why(there: Retraining, expected: tuple[RecordWaiting]) -> None:
    seen = RetrainingObservation(NOW, (there,), query=QUERY, conditions=TOO_FEW)
    assert decide_retraining(CONFIG, seen) == expected


@pytest.mark.parametrize(
    "seen",
    [
        RetrainingObservation(NOW, (waiting(WHY),), query=QUERY, conditions=TOO_FEW),
        RetrainingObservation(NOW, (running(),), job=("alive", "")),
        RetrainingObservation(NOW, (ended(passed=True),), drifting_arms=frozenset({"linear"})),
        RetrainingObservation(NOW, (ended(),), drifting_arms=frozenset({"mlp"})),
        RetrainingObservation(NOW),
        RetrainingObservation(NOW, first_truth=NOW - timedelta(hours=23)),
    ],
)
def test_when_there_is_nothing_to_do(seen: RetrainingObservation) -> None:
    assert decide_retraining(CONFIG, seen) == ()


def test_a_job_that_was_about_to_be_submitted_is() -> None:
    there = submitting()
    assert decide_retraining(CONFIG, RetrainingObservation(NOW, (there,))) == (
        SubmitJob(there, "It was about to be submitted."),
    )


@pytest.mark.parametrize(
    ("job", "message", "reason"),
    [
        ("died", "FAILED: out of memory", "FAILED: out of memory"),
        ("unknown", "", "unknown"),
        ("succeeded", "", "succeeded"),
    ],
)
def test_a_job_that_ended_without_a_verdict_is_followed_by_the_next(
    job: JobState, message: str, reason: str
) -> None:
    there, later = running(), NOW + timedelta(minutes=1)
    end, submit = decide_retraining(CONFIG, RetrainingObservation(later, (there,), job=(job, message)))
    assert end == EndAttempt(there, job, message, later)
    assert isinstance(submit, SubmitJob)
    assert (submit.reason, submit.seen.attempts[-1].job) == (reason, "retrain-1-2")


def test_the_last_attempt_that_dies_is_followed_by_none() -> None:
    there = running(2)
    seen = RetrainingObservation(NOW, (there,), job=("died", "killed"))
    assert decide_retraining(CONFIG, seen) == (EndAttempt(there, "died", "killed", NOW),)


def test_an_arm_that_still_drifts_asks_once_more() -> None:
    (action,) = decide_retraining(
        CONFIG, RetrainingObservation(NOW, (ended(),), drifting_arms=frozenset({"linear"}))
    )
    assert isinstance(action, RequestRetraining)
    assert action.request.by == "lifecycle_controller"
    assert action.reason == "no better model yet, and still drifting: linear"


def test_drift_that_came_while_one_ran_comes_before_all_else() -> None:
    late = Request(reason="drift", at=NOW + timedelta(minutes=5), by="monitor", note="concept: again")
    there = ended()
    there = there.model_copy(update={"requests": (*there.requests, late)})
    seen = RetrainingObservation(NOW + timedelta(days=2), (there,), drifting_arms=frozenset({"linear"}))
    assert decide_retraining(CONFIG, seen) == (RequestRetraining(late),)


@pytest.mark.parametrize(
    "seen",
    [
        RetrainingObservation(NOW, first_truth=NOW - timedelta(hours=24)),
        RetrainingObservation(NOW + timedelta(hours=24), (ended(),)),
    ],
)
def test_the_routine_check_asks_when_it_is_due(seen: RetrainingObservation) -> None:
    (action,) = decide_retraining(CONFIG, seen)
    assert isinstance(action, RequestRetraining)
    assert (action.request.reason, action.request.by) == ("schedule", "lifecycle_controller")


def test_only_the_newest_one_is_gone_on_with() -> None:
    seen = RetrainingObservation(NOW, (ended(passed=True), submitting()))
    assert decide_retraining(CONFIG, seen) == ()
