"""The states of detectors, in today's spelling and in the one that the store keeps."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from deployments.domain.drift_state import (
    NEW_BY_OLD,
    SETTLED_STATES,
    DriftState,
    SettledState,
    new_spelling,
    old_spelling,
    page_in_new_spelling,
    page_in_old_spelling,
)


def test_each_state_has_an_old_spelling_and_comes_back() -> None:
    assert set(NEW_BY_OLD.values()) == set(get_args(DriftState))
    assert set(SETTLED_STATES) == set(get_args(SettledState))
    assert {state: old_spelling(state) for state in get_args(DriftState)} == {
        "drifting": "hot",
        "ok": "cool",
        "insufficient_data": "warming",
    }
    assert [new_spelling(old_spelling(state)) for state in get_args(DriftState)] == list(get_args(DriftState))


@pytest.mark.parametrize("state", ["drifting", "ok", "elsewhere"])
def test_what_is_spelled_so_already_stays(state: str) -> None:
    assert new_spelling(state) == state
    assert old_spelling(old_spelling(state)) == old_spelling(state)


def test_a_page_is_respelled_and_left_as_it_is_otherwise() -> None:
    page: dict[str, Any] = {
        "workload": "w",
        "drift": [{"kind": "input", "state": "drifting"}, {"state": "ok", "score": 0.5}],
    }
    old = {"workload": "w", "drift": [{"kind": "input", "state": "hot"}, {"state": "cool", "score": 0.5}]}
    assert page_in_old_spelling(page) == old
    assert page_in_new_spelling(old) == page_in_new_spelling(page) == page
    assert page["drift"][0]["state"] == "drifting"
    assert page_in_old_spelling({"windows": 1}) == {"windows": 1}
