"""The event of a change of a detector's state, and what the page has of it until the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain.drift_state import SettledState
from deployments.monitoring.detectors import DetectorStates, Key, highest
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import HysteresisSettings
from deployments.store.monitor_feed import DriftEvent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
INPUT, CONCEPT = ("input", ""), ("concept", "mlp")


def states(last: Mapping[Key, DriftEvent] | None = None) -> DetectorStates:
    return DetectorStates("apogee", HysteresisSettings(confirm=1, settle=1, leave=0.7), last)


def event(state: SettledState, at: datetime = NOW) -> DriftEvent:
    return DriftEvent(at, "apogee", *CONCEPT, state, "losses have risen", {"score": 1.0})


def test_a_change_is_an_event_with_what_was_found() -> None:
    detectors = states()
    assert detectors.update(CONCEPT, Finding(0.9, "calm"), NOW) is None
    evidence = {"normal_loss": 2.0}
    found = detectors.update(CONCEPT, Finding(1.5, "losses have risen", evidence), LATER)
    assert found == DriftEvent(
        LATER, "apogee", *CONCEPT, "drifting", "losses have risen", {"normal_loss": 2.0, "score": 1.5}
    )
    assert evidence == {"normal_loss": 2.0}
    assert detectors.update(CONCEPT, Finding(1.6, "as before"), LATER) is None
    ended = detectors.update(CONCEPT, Finding(0.1, "losses are back"), LATER)
    assert ended == DriftEvent(LATER, "apogee", *CONCEPT, "ok", "losses are back", {"score": 0.1})


def test_each_detector_has_a_state_of_its_own() -> None:
    detectors = DetectorStates("apogee", HysteresisSettings(confirm=2))
    for key in (CONCEPT, INPUT):
        assert detectors.update(key, Finding(1.0, ""), NOW) is None
    assert [detectors.update(key, Finding(1.0, ""), NOW) is None for key in (CONCEPT, INPUT)] == [False] * 2


def test_one_that_was_drifting_when_the_monitor_was_killed_still_is() -> None:
    detectors = states({CONCEPT: event("drifting")})
    assert detectors.update(CONCEPT, Finding(1.5, "again"), LATER) is None
    (row,) = detectors.page_rows()
    assert (row.state, row.since, row.reason) == ("drifting", NOW, "losses have risen")
    ended = detectors.update(CONCEPT, Finding(0.1, "losses are back"), LATER)
    assert ended is not None
    assert ended.state == "ok"
    assert states({CONCEPT: event("ok")}).update(CONCEPT, Finding(1.0, "again"), LATER) is not None


def test_the_page_has_what_was_evaluated_in_the_order_of_its_names() -> None:
    detectors = states({("quality", ""): event("drifting")})
    assert detectors.page_rows() == []
    detectors.update(INPUT, Finding(0.4, "calm", {"rows": 300}), NOW)
    detectors.update(("concept", "b"), Finding(None, "too few", {"batches": 3}), NOW)
    detectors.update(("concept", "a"), Finding(2.0, "risen", {"batches": 60}), NOW)
    detectors.update(("concept", "a"), Finding(1.2, "still risen", {"batches": 61}), LATER)
    rows = [one.model_dump() for one in detectors.page_rows()]
    assert rows == [
        {
            "kind": "concept",
            "subject": "a",
            "state": "drifting",
            "since": NOW,
            "score": 1.2,
            "reason": "risen",
            "evidence": {"batches": 61},
        },
        {
            "kind": "concept",
            "subject": "b",
            "state": "insufficient_data",
            "since": None,
            "score": None,
            "reason": "",
            "evidence": {"batches": 3},
        },
        {
            "kind": "input",
            "subject": "",
            "state": "ok",
            "since": None,
            "score": 0.4,
            "reason": "",
            "evidence": {"rows": 300},
        },
    ]


def test_a_drift_of_which_nothing_more_is_known_goes_on() -> None:
    detectors = states()
    detectors.update(INPUT, Finding(2.0, "moved"), NOW)
    assert detectors.update(INPUT, Finding(None, "3 rows"), LATER) is None
    (row,) = detectors.page_rows()
    assert (row.state, row.score, row.reason) == ("drifting", None, "moved")


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([0.5], 0),
        ([0.5, 0.7, 0.6], 1),
        ([0.7, 0.5], 0),
        ([0.5, 0.5], 1),
        ([None, 0.0], 1),
        ([0.0, None], 0),
        ([None, None], 1),
    ],
)
def test_of_several_windows_the_highest_score_counts(scores: list[float | None], chosen: int) -> None:
    """The last one where they are equal, and where none has a score."""
    found = [Finding(score, str(number)) for number, score in enumerate(scores)]
    assert highest(iter(found)) is found[chosen]
