"""Kill -9 of lifecycle controller, Monitor, retraining job and router replica, at each stage of the loop.

A run is one heat wave of `raysonde demo heal`, at one stage of which all of them are killed one after the
other. It ends as it would have without, and nothing that was acknowledged is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.faults import checks
from tests.faults.cells import LoopStage, expected_attempts
from tests.faults.run import Run, heal_under_faults
from training.runtime.settings import Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]


def test_the_loop_ends_as_it_would_have(
    stage: LoopStage, victims: Sequence[str], rows: list[tuple[str, ...]]
) -> None:
    folder = (Settings.from_environment().var / "faults").resolve()
    run = heal_under_faults(folder, stage, victims)
    losses = checks.find_losses(run)
    rows += _rows(stage, run, losses)
    checks.assert_nothing_left(run)
    checks.assert_healed(run)
    checks.assert_one_retraining(run, expected_attempts(stage, victims))
    checks.assert_promoted(run)
    checks.assert_drift_is_recorded_once(run)
    checks.assert_truths_are_kept(run)
    checks.assert_lost_no_more_than_a_router(run, losses)


def _rows(stage: LoopStage, run: Run, losses: checks.Losses) -> list[tuple[str, ...]]:
    """Make a row for each kill, and one for the whole run."""
    kills = [
        (stage.name, one.victim, f"{one.at_s:.1f}", _seconds(one.back_after_s), "", "", "", "")
        for one in run.strikes
    ]
    cost = (str(len(one)) for one in (losses.answers, losses.requests, losses.truth_calls))
    return [*kills, (stage.name, "in all", "", "", _seconds(run.played.timeline.healed_s), *cost)]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
