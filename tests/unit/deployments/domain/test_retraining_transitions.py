"""The rules of retraining at their edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from deployments.domain.retraining_transitions import routine
from training.runtime.retraining_config import RetrainingConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_routine_check_is_due_when_its_time_is_over() -> None:
    config, begun = RetrainingConfig(every_h=24), NOW - timedelta(hours=24)
    assert routine(config, None, begun + timedelta(microseconds=1), NOW) is None
    due = routine(config, None, begun, NOW)
    assert due is not None
    assert (due.reason, due.at) == ("schedule", NOW)
    assert routine(RetrainingConfig(every_h=None), None, begun, NOW) is None
    assert routine(config, None, None, NOW) is None
