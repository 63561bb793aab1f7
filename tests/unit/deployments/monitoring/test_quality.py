"""Shares of what came faulty, row by row: what is counted where, and where the limits lie."""

from __future__ import annotations

import numpy as np
import pytest

from deployments.monitoring.quality import QualityWindow, quality_scores
from deployments.monitoring.settings import QualitySettings
from features.contract import Contract

SETTINGS = QualitySettings(change=0.1, z=5.0, min_rows=10)
NOW_S = 100_005.0


@pytest.fixture
def two_fields(apogee: Contract) -> Contract:
    """A window of 50 steps, with two fields that may be missing."""
    required = [spec for spec in apogee.fields if spec.required]
    first, second, *_ = (spec for spec in apogee.fields if not spec.required)
    assert apogee.window is not None
    assert apogee.window.steps == 50
    fields = (first.model_copy(update={"name": "a"}), *required, second.model_copy(update={"name": "b"}))
    return apogee.model_copy(update={"fields": fields})


def live(contract: Contract) -> QualityWindow:
    """Ten calm rows before the window of a minute."""
    window = QualityWindow(contract, SETTINGS, 60.0)
    for _ in range(10):
        window.add(NOW_S - 100, {})
    return window


def test_the_shares_have_the_names_of_their_fields(two_fields: Contract) -> None:
    expected = ("refused", "filled.a", "missing.a", "filled.b", "missing.b")
    assert live(two_fields).names == expected


@pytest.mark.parametrize(
    ("filled", "share"),
    [
        ({"a": 50}, "filled.a"),
        ({"a": 51}, "filled.a"),
        ({"a": 49}, "missing.a"),
        ({"a": 1}, "missing.a"),
        ({"b": 50}, "filled.b"),
        ({"b": 2, "a": 0}, "missing.b"),
        ({"other": 50}, None),
        ({"a": 0}, None),
    ],
)
def test_a_field_that_was_not_sent_is_filled_and_one_with_gaps_is_missing(
    two_fields: Contract, filled: dict[str, int], share: str | None
) -> None:
    window = live(two_fields)
    for number in range(20):
        window.add(NOW_S, filled if number < 5 else {})
    found = window.evaluate(NOW_S, 60.0)
    assert found.evidence == {
        "window_s": 60.0,
        "requests": 20,
        "shares": {name: 0.25 if name == share else 0.0 for name in window.names},
        "reference": dict.fromkeys(window.names, 0.0),
    }
    if share is not None:
        assert found.reason == f"{share}: 25.0% of 20 requests, 0.0% before"


def test_a_row_of_a_table_has_one_step(two_fields: Contract) -> None:
    window = live(two_fields.model_copy(update={"window": None}))
    for _ in range(10):
        window.add(NOW_S, {"a": 1})
    assert window.evaluate(NOW_S, 60.0).evidence["shares"]["filled.a"] == 1


def test_the_limit_is_a_change_and_five_standard_errors() -> None:
    """Of 100 rows before and after, 0.5 on the whole: the standard error is 0.0707."""
    half = 0.5 * (0.1 + 5 * np.sqrt(0.005))
    for now, before in ((0.5 + half, 0.5 - half), (0.5 - half, 0.5 + half)):
        found = quality_scores(SETTINGS, np.array([now]), np.array([before]), 100.0, 100.0)
        assert found == pytest.approx(1.0)
    assert quality_scores(SETTINGS, np.zeros(1), np.zeros(1), 10.0, 10.0) == 0
    # pooled by rows: a quarter of 400
    error = np.sqrt(0.25 * 0.75 * (1 / 100 + 1 / 300))
    found = quality_scores(SETTINGS, np.array([1.0]), np.array([0.0]), 100.0, 300.0)
    assert found == pytest.approx(1 / (0.1 + 5 * error))


@pytest.mark.parametrize(("before", "now", "is_known"), [(10, 10, True), (9, 10, False), (10, 9, False)])
def test_so_many_rows_are_needed_in_the_window_and_before_it(
    two_fields: Contract, before: int, now: int, is_known: bool
) -> None:
    window = QualityWindow(two_fields, SETTINGS, 60.0)
    for at_s, rows in ((NOW_S - 100, before), (NOW_S, now)):
        for _ in range(rows):
            window.add(at_s, {})
    found = window.evaluate(NOW_S, 60.0)
    assert (found.score is not None) == is_known
    if not is_known:
        assert (found.reason, found.evidence) == (f"{now} requests", {"requests": now})


def test_rejected_requests_are_known_though_none_was_answered(two_fields: Contract) -> None:
    """Shares of fields are of answered rows alone."""
    window = QualityWindow(two_fields, SETTINGS, 60.0)
    window.add_rejections(NOW_S - 100, 20)
    window.add_rejections(NOW_S, 10)
    window.add(NOW_S, {"a": 50})
    found = window.evaluate(NOW_S, 60.0)
    assert found.evidence["shares"] == {
        "refused": 0.9091,
        "filled.a": 1.0,
        "missing.a": 0.0,
        "filled.b": 0.0,
        "missing.b": 0.0,
    }
    assert found.evidence["requests"] == 11
    assert found.reason == "refused: 90.9% of 11 requests, 100.0% before"


def test_before_is_the_day_before_the_longest_window(two_fields: Contract) -> None:
    window = QualityWindow(two_fields, SETTINGS, 60.0)
    for at_s, filled in ((NOW_S - 87_000, {"a": 50}), (NOW_S - 80_000, {"b": 50}), (NOW_S - 30, {"b": 1})):
        for _ in range(10):
            window.add(at_s, filled)
    found = window.evaluate(NOW_S, 60.0)
    assert found.evidence["reference"] == {**dict.fromkeys(window.names, 0.0), "filled.b": 1.0}
    assert found.evidence["shares"] == {**dict.fromkeys(window.names, 0.0), "missing.b": 1.0}
    assert found.score is not None
    assert found.score > 0


def test_a_frozen_reference_needs_no_rows_before_and_takes_unknown_names_as_0(two_fields: Contract) -> None:
    window = QualityWindow(two_fields, SETTINGS, 60.0)
    window.reference = {"filled.a": 0.5}
    for _ in range(10):
        window.add(NOW_S, {"a": 50})
    found = window.evaluate(NOW_S, 60.0)
    assert found.evidence["reference"] == {**dict.fromkeys(window.names, 0.0), "filled.a": 0.5}
    expected = quality_scores(SETTINGS, np.array([1.0]), np.array([0.5]), 10.0, 10.0)
    assert found.score == pytest.approx(expected[0])
    window.freeze_reference(NOW_S)
    assert window.reference == dict.fromkeys(window.names, 0.0)
    window.unfreeze_reference()
    assert window.evaluate(NOW_S, 60.0).score is None
