"""What `make faults` goes by, on runs that are told by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from toy.parts import toy_contract, toy_raw

from deployments.domain.drift_state import SettledState
from deployments.store import AuditEvent
from deployments.store.monitor_feed import DriftEvent
from scripts.replay.player import Failure
from scripts.replay.recordings import Recording, make_cases
from scripts.replay.stream_player import SentRequest
from tests.faults.cells import JOB, STAGES, VICTIMS, expected_attempts, stage_name
from tests.faults.checks import most_open_at_once, repeated_events, was_in_flight, was_just_answered

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def event(seq: int, state: SettledState, subject: str = "a") -> DriftEvent:
    return DriftEvent(NOW, "w", "concept", subject, state, "why", {}, seq)


@pytest.mark.parametrize(
    ("states", "again"),
    [
        ([("drifting", "a"), ("drifting", "b"), ("ok", "a"), ("drifting", "a")], []),
        ([("drifting", "a"), ("drifting", "b"), ("drifting", "a")], [3]),
        ([("ok", "a")], [1]),
    ],
)
def test_a_state_that_is_recorded_twice_is_seen(
    states: list[tuple[SettledState, str]], again: list[int]
) -> None:
    events = [event(number + 1, *change) for number, change in enumerate(states)]
    assert [one.seq for one in repeated_events(events)] == again


def test_the_old_name_of_a_stage_still_works(caplog: pytest.LogCaptureFixture) -> None:
    assert stage_name("hot") == "drifting"
    assert "'hot' is the old spelling; write 'drifting'" in caplog.text
    caplog.clear()
    assert [stage_name(stage.name) for stage in STAGES] == [stage.name for stage in STAGES]
    assert caplog.records == []


def audit_event(promotion: str, state: str, arm: str = "a") -> AuditEvent:
    detail: dict[str, Any] = {"id": promotion, "arm": arm, "state": state}
    return AuditEvent(0, NOW, "w", "promotion", "lifecycle_controller", detail)


def test_two_candidacies_of_an_arm_are_seen_and_two_arms_are_none() -> None:
    one_by_one = [
        audit_event("1", "shadowing"),
        audit_event("1", "superseded"),
        audit_event("2", "shadowing"),
        audit_event("3", "asked", "b"),
    ]
    assert most_open_at_once(one_by_one) == 1
    assert most_open_at_once([*one_by_one, audit_event("2", "promoting"), audit_event("4", "shadowing")]) == 2


def request(sent_s: float, ended_s: float) -> SentRequest:
    recording = Recording("thing", "", toy_raw(1), np.zeros(1), np.ones(1))
    (case,) = make_cases(toy_contract(), recording)
    return SentRequest(0, case, sent_s, sent_s, ended_s, Failure(case, "", 500, "gone"))


@pytest.mark.parametrize(
    ("sent_s", "ended_s", "buffered", "in_flight"),
    [
        (9.0, 9.35, False, False),
        (9.0, 9.45, True, False),
        (9.9, 9.95, True, True),
        (9.5, 10.5, False, True),
        (10.2, 10.3, False, False),
    ],
)
def test_a_kill_excuses_what_was_just_answered_and_what_was_in_flight(
    sent_s: float, ended_s: float, buffered: bool, in_flight: bool
) -> None:
    one = request(sent_s, ended_s)
    assert was_just_answered(one, [3.0, 10.0]) == buffered
    assert was_in_flight(one, [3.0, 10.0]) == in_flight
    assert not was_just_answered(one, [])


def test_only_a_job_that_is_killed_takes_a_second_attempt() -> None:
    attempts = {stage.name: expected_attempts(stage, VICTIMS) for stage in STAGES}
    assert attempts == dict.fromkeys(attempts, 1) | {"job": 2}
    (job,) = (stage for stage in STAGES if stage.name == "job")
    assert expected_attempts(job, [name for name in VICTIMS if name != JOB]) == 1
