"""A state changes after enough looks in a row, and where the limits themselves lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.monitoring.hysteresis import Hysteresis, State
from deployments.monitoring.settings import HysteresisSettings

SETTINGS = HysteresisSettings(confirm=2, settle=3, leave=0.7)
SCORES = st.lists(st.sampled_from([None, 0.0, 0.69, 0.7, 0.71, 0.99, 1.0, 1.01, 9.0]), max_size=40)


@pytest.mark.parametrize(
    ("state", "score", "changes"),
    [("cool", 0.999, False), ("cool", 1.0, True), ("hot", 0.7, False), ("hot", 0.699, True)],
)
def test_where_the_limits_lie(state: State, score: float, changes: bool) -> None:
    hysteresis = Hysteresis(HysteresisSettings(confirm=1, settle=1, leave=0.7), state)
    assert (hysteresis.update(score) is not None) == changes


@given(SCORES)
def test_it_changes_after_so_many_looks_in_a_row_and_never_before(scores: list[float | None]) -> None:
    hysteresis = Hysteresis(SETTINGS)
    since: list[float] = []  # scores since the last change
    for score in scores:
        was = hysteresis.state
        since += [] if score is None else [score]
        changed = hysteresis.update(score)
        if was == "cool":
            due = score is not None and len(since) >= 2 and min(since[-2:]) >= 1
        else:
            due = score is not None and len(since) >= 3 and max(since[-3:]) < 0.7
        assert (changed is not None) == due
        assert hysteresis.state == (was if not due else "hot" if was == "cool" else "cool")
        if due:
            assert changed == hysteresis.state
            since = []
