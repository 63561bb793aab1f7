"""What becomes of a version that may take an arm's place: each transition, and where each limit lies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import promotion_transitions as transitions
from deployments.domain.promotion import InterimLook, Phase, Promotion, State
from deployments.domain.routing import ArmVersion
from training.retraining.gate import Check, Verdict
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = PromotionConfig(
    shadow=InterimLooksConfig(first_truths=40, looks=3, at_most_h=24),
    probation=InterimLooksConfig(first_truths=100, looks=2, at_most_h=6),
)
BETTER = Verdict((Check("gain", True, "It is better.", {"gain": 1.0}),))
WORSE = Verdict((Check("gain", False, "It is worse.", {"gain": -1.0}),))
STATES = ("asked", "shadowing", "promoting", "probation", "rolling_back", "aborting")


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"bundles/{number}")


CHAMPION = version(1)


def begun(champion: ArmVersion | None = CHAMPION) -> Promotion:
    return transitions.begin("1", "toy", "linear", version(2), champion, NOW)


def there(
    state: State, *looks: InterimLook, champion: ArmVersion | None = CHAMPION, by: str = "gate"
) -> Promotion:
    return begun(champion).model_copy(update={"state": state, "looks": looks, "by": by})


def taken(phase: Phase, passed: bool = False) -> InterimLook:
    return InterimLook(phase=phase, at=NOW, truths=40, passed=passed, reasons=(), numbers={})


def test_one_that_passed_the_gate_proves_itself_where_there_is_a_champion() -> None:
    assert (begun().state, begun(None).state) == ("shadowing", "promoting")
    assert begun().model_dump(exclude={"state", "candidate", "predecessor"}) == {
        "id": "1",
        "workload": "toy",
        "arm": "linear",
        "model_version": "2",
        "by": "gate",
        "note": "",
        "created_at": NOW,
        "state_since": NOW,
        "looks": (),
        "reason": "It passed the gate.",
    }


def test_one_that_a_person_requests_is_found_and_serves_without_proof() -> None:
    requested = transitions.request("1", "toy", "linear", "7", "api", "I know it", NOW)
    assert (requested.state, requested.candidate, requested.predecessor, requested.note) == (
        "asked",
        None,
        None,
        "I know it",
    )
    later = NOW + timedelta(minutes=1)
    found = transitions.found(requested, version(7), version(1), later)
    assert (found.state, found.candidate, found.predecessor) == ("promoting", version(7), version(1))
    assert (found.reason, found.state_since) == ("api wants it.", later)
    missing = transitions.found(requested, None, version(1), later)
    assert (missing.state, missing.candidate) == ("rejected", None)
    assert missing.reason == "The registry has no version 7 of linear."


def test_each_phase_has_its_own_interim_looks() -> None:
    assert transitions.interim_looks_config(CONFIG, there("shadowing")) == CONFIG.shadow
    assert transitions.interim_looks_config(CONFIG, there("probation")) == CONFIG.probation


@pytest.mark.parametrize(
    ("state", "looks", "wanted"),
    [
        ("shadowing", [], 40),
        ("shadowing", ["shadowing"], 80),
        ("shadowing", ["shadowing"] * 2, 160),
        ("shadowing", ["shadowing"] * 3, None),
        ("probation", ["shadowing"] * 3, 100),
        ("probation", ["shadowing", "probation"], 200),
        ("probation", ["probation"] * 2, None),
    ],
)
def test_each_interim_look_takes_twice_as_many_truths(
    state: State, looks: list[Phase], wanted: int | None
) -> None:
    assert transitions.truths_wanted(CONFIG, there(state, *map(taken, looks))) == wanted


@pytest.mark.parametrize(
    ("state", "before", "verdict", "automatic", "expected"),
    [
        ("shadowing", 0, BETTER, True, "promoting"),
        ("shadowing", 0, WORSE, True, "shadowing"),
        ("shadowing", 2, WORSE, True, "rejected"),
        ("shadowing", 2, BETTER, True, "promoting"),
        ("shadowing", 0, BETTER, False, "shadowing"),
        ("shadowing", 2, BETTER, False, "shadowing"),
        ("shadowing", 2, WORSE, False, "rejected"),
        ("probation", 0, BETTER, True, "probation"),
        ("probation", 0, WORSE, True, "rolling_back"),
        ("probation", 1, BETTER, True, "kept"),
        ("probation", 1, WORSE, True, "rolling_back"),
        ("probation", 1, BETTER, False, "kept"),
    ],
)
def test_what_an_interim_look_decides(
    state: State, before: int, verdict: Verdict, automatic: bool, expected: State
) -> None:
    config = CONFIG.model_copy(update={"automatic": automatic})
    phase: Phase = "shadowing" if state == "shadowing" else "probation"
    seen = there(state, *[taken(phase)] * before)
    later = NOW + timedelta(minutes=1)
    found = transitions.record_interim_look(config, seen, verdict, 77, later)
    assert found.state == expected
    assert (found.state_since, found.reason) == (
        (NOW, seen.reason) if expected == state else (later, verdict.reasons[0])
    )
    look = found.looks[-1]
    assert len(found.looks) == before + 1
    assert (look.phase, look.at, look.truths, look.passed) == (phase, later, 77, verdict.passed)
    assert (look.reasons, look.numbers) == (verdict.reasons, verdict.numbers)


@pytest.mark.parametrize(
    ("state", "looks", "allowed_s", "expected", "reason"),
    [
        ("shadowing", (), 24 * 3600, "rejected", "It was not shown to be better: 9 truths in 24 h."),
        (
            "shadowing",
            (taken("shadowing"),),
            24 * 3600,
            "rejected",
            "It was not shown to be better: 9 truths",
        ),
        ("shadowing", (taken("shadowing", True),), 24 * 3600, "rejected", "Nobody promoted it within 24 h."),
        ("probation", (), 6 * 3600, "kept", "It was not shown to be worse: 9 truths in 6 h."),
        ("promoting", (), 600, "rolling_back", "It did not come into service."),
        ("asked", (), 600, "rejected", "The registry could not be asked for it."),
        ("rolling_back", (), 600, "aborting", "The version before did not come into service."),
        (
            "aborting",
            (),
            600,
            "aborted",
            "It passed the gate. The registry could not be brought to name what serves.",
        ),
    ],
)
def test_a_state_ends_when_it_has_lasted_longer_than_it_may(
    state: State, looks: tuple[InterimLook, ...], allowed_s: float, expected: State, reason: str
) -> None:
    seen = there(state, *looks)
    end = NOW + timedelta(seconds=allowed_s)
    assert transitions.time_is_up(CONFIG, seen, 9, end) is seen
    late = end + timedelta(seconds=1)
    ended = transitions.time_is_up(CONFIG, seen, 9, late)
    assert (ended.state, ended.state_since) == (expected, late)
    assert (ended.reason or "").startswith(reason)


@given(st.sampled_from(["kept", "rejected", "rolled_back", "superseded", "aborted"]), st.integers(0, 1000))
def test_what_has_ended_stays_as_it_is(state: State, hours: int) -> None:
    seen = there(state)
    assert transitions.time_is_up(CONFIG, seen, 0, NOW + timedelta(hours=hours)) is seen


@pytest.mark.parametrize(
    ("state", "champion", "expected"),
    [
        ("shadowing", version(1), "rejected"),
        ("promoting", version(1), "rolling_back"),
        ("promoting", None, "rejected"),
        # there is nothing to go back to but itself
        ("promoting", version(2), "aborting"),
    ],
)
def test_one_that_cannot_serve_is_taken_back_where_there_is_something_to_go_back_to(
    state: State, champion: ArmVersion | None, expected: State
) -> None:
    ended = transitions.cannot_serve(there(state, champion=champion), "off by 1 m", NOW)
    itself = " It is the version before, too." if expected == "aborting" else ""
    assert (ended.state, ended.reason) == (expected, f"off by 1 m{itself}")


@pytest.mark.parametrize(
    ("by", "champion", "expected", "reason"),
    [
        ("gate", version(1), "probation", "It passed the gate."),
        ("gate", None, "kept", "There was no version before it."),
        ("api", version(1), "kept", "api wanted it."),
        ("api", None, "kept", "api wanted it."),
    ],
)
def test_one_that_serves_is_on_probation_unless_a_person_or_nobody_stands_behind_it(
    by: str, champion: ArmVersion | None, expected: State, reason: str
) -> None:
    found = transitions.serves(there("promoting", champion=champion, by=by), NOW)
    assert (found.state, found.reason) == (expected, reason)


@pytest.mark.parametrize("state", STATES)
def test_a_person_ends_it_where_it_is(state: State) -> None:
    """Over `aborting` where an alias may be on its way."""
    ended = transitions.abort(there(state), "api", NOW)
    assert ended.reason == f"api aborted it while it was {state}."
    moves = state in ("promoting", "rolling_back", "aborting")
    assert ended.state == ("aborting" if moves else "aborted")
    assert ended.shadow is None
    assert transitions.aborted(ended, NOW).is_open is False


@pytest.mark.parametrize("state", STATES)
def test_people_and_others_move_it_from_any_state(state: State) -> None:
    seen, later = there(state), NOW + timedelta(minutes=3)
    found = [
        transitions.promote(seen, "api", later),
        transitions.roll_back(seen, "api", later),
        transitions.rolled_back(seen, later),
        transitions.superseded(seen, "newer", later),
    ]
    assert [(one.state, one.reason, one.is_open) for one in found] == [
        ("promoting", "api wants it.", True),
        ("rolling_back", "api wants the version before back.", True),
        ("rolled_back", "It passed the gate.", False),
        ("superseded", "newer", False),
    ]
    assert {one.state_since for one in found} == {later}


@pytest.mark.parametrize(
    ("state", "by", "shadow"),
    [
        ("asked", "api", None),
        ("shadowing", "gate", version(2)),
        ("promoting", "gate", version(2)),
        ("promoting", "api", None),
        ("probation", "gate", version(1)),
        ("rolling_back", "gate", None),
        ("kept", "gate", None),
        ("rejected", "gate", None),
    ],
)
def test_which_version_gets_copies_of_requests(state: State, by: str, shadow: ArmVersion | None) -> None:
    assert there(state, by=by).shadow == shadow
