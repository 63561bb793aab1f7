"""A state changes after enough evaluations in a row, and where the limits themselves lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.drift_state import SettledState
from deployments.monitoring.hysteresis import Hysteresis
from deployments.monitoring.settings import HysteresisSettings

SETTINGS = HysteresisSettings(confirm=2, settle=3, leave=0.7)
SCORES = st.lists(st.sampled_from([None, 0.0, 0.69, 0.7, 0.71, 0.99, 1.0, 1.01, 9.0]), max_size=40)


@pytest.mark.parametrize(
    ("state", "score", "changes"),
    [("ok", 0.999, False), ("ok", 1.0, True), ("drifting", 0.7, False), ("drifting", 0.699, True)],
)
def test_where_the_limits_lie(state: SettledState, score: float, changes: bool) -> None:
    hysteresis = Hysteresis(HysteresisSettings(confirm=1, settle=1, leave=0.7), state)
    assert (hysteresis.update(score) is not None) == changes


@given(SCORES)
def test_it_changes_after_so_many_checks_in_a_row_and_never_before(scores: list[float | None]) -> None:
    hysteresis = Hysteresis(SETTINGS)
    since: list[float] = []  # scores since the last change
    for score in scores:
        was = hysteresis.state
        since += [] if score is None else [score]
        changed = hysteresis.update(score)
        if was == "ok":
            due = score is not None and len(since) >= 2 and min(since[-2:]) >= 1
        else:
            due = score is not None and len(since) >= 3 and max(since[-3:]) < 0.7
        assert (changed is not None) == due
        assert hysteresis.state == (was if not due else "drifting" if was == "ok" else "ok")
        if due:
            assert changed == hysteresis.state
            since = []
