"""What two versions are compared by: which answers, against which truths, and how sure the gate has to be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from deployments.lifecycle.promotion_evidence import Evidence
from deployments.store.records import ShadowPair
from features.targets import TargetSpec
from tests.support.regions import Plain
from training.runtime.promotion_config import InterimLooksConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.tasks.base import ArmAnswer
from training.runtime.tasks.regression import RegressionTask

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AREA = TargetSpec(name="area_m2", unit="m2", minimum=0, maximum=1000)
LOOKS = InterimLooksConfig(first_truths=40, looks=4)


def evidence(**changes: Any) -> Evidence:
    return Evidence(AREA, RegressionTask(AREA, Plain()), GateConfig(min_truths=64, **changes))


def answer(error: float, coverage: float = 0.9, reach: float = 20.0) -> ArmAnswer:
    """About a truth of 50."""
    value = 50.0 + error
    return ArmAnswer({"area_m2": value}, {"area_m2": [value - reach, value + reach]}, coverage)


def pairs(served: float, shadow: float, rows: int = 40, noise: float = 0.5) -> list[ShadowPair]:
    """Two versions that err by so much, on the mean."""
    drawn = np.random.default_rng(0).uniform(-noise, noise, (rows, 2)).tolist()
    return [
        ShadowPair(NOW, answer(served + one), answer(shadow + other), {"area_m2": 50.0})
        for one, other in drawn
    ]


def test_a_challenger_is_the_one_in_the_shadow() -> None:
    assert evidence().evaluate_challenger(LOOKS, pairs(served=5.0, shadow=1.0)).passed
    verdict = evidence().evaluate_challenger(LOOKS, pairs(served=1.0, shadow=5.0))
    assert not verdict.passed
    assert verdict.numbers["champion_loss"] == pytest.approx(1.0, abs=0.2)
    assert verdict.numbers["challenger_loss"] == pytest.approx(5.0, abs=0.2)


def test_a_promoted_version_is_the_one_that_serves() -> None:
    assert evidence().evaluate_promoted(LOOKS, pairs(served=1.0, shadow=5.0)).passed
    verdict = evidence().evaluate_promoted(LOOKS, pairs(served=5.0, shadow=1.0))
    assert not verdict.passed
    assert verdict.numbers["promoted_loss"] == pytest.approx(5.0, abs=0.2)
    assert verdict.numbers["predecessor_loss"] == pytest.approx(1.0, abs=0.2)


def test_all_looks_together_are_as_sure_as_one_would_be() -> None:
    reason = evidence(alpha=0.08).evaluate_challenger(LOOKS, pairs(served=5.0, shadow=1.0)).reasons[0]
    assert "at 98% confidence" in reason


@pytest.mark.parametrize(("first_truths", "needed"), [(40, 40), (100, 64)])
def test_no_more_truths_are_needed_than_a_look_takes(first_truths: int, needed: int) -> None:
    looks = InterimLooksConfig(first_truths=first_truths, looks=1)
    too_few = evidence().evaluate_challenger(looks, pairs(5.0, 1.0, needed - 1))
    assert too_few.reasons == (f"There are {needed - 1} held-out truths, and {needed} are needed to decide.",)
    assert evidence().evaluate_challenger(looks, pairs(5.0, 1.0, needed)).passed


@pytest.mark.parametrize("truth", [{}, {"other": 1.0}, {"area_m2": None}, {"area_m2": "x"}, {"area_m2": {}}])
def test_pairs_without_a_truth_are_left_out(truth: dict[str, Any]) -> None:
    """Beside others, and alone."""
    unknown = ShadowPair(NOW, answer(0.0), answer(99.0), truth)
    found = evidence().evaluate_challenger(LOOKS, [unknown, *pairs(5.0, 1.0), unknown])
    assert (found.numbers["truths"], found.passed) == (40, True)
    nothing = evidence().evaluate_challenger(LOOKS, [unknown] * 50)
    assert (nothing.passed, nothing.numbers) == (False, {"truths": 0})
    assert evidence().evaluate_challenger(LOOKS, []).numbers == {"truths": 0}


@pytest.mark.parametrize(("served", "shadow", "asked"), [(0.8, 0.7, 0.8), (0.7, 0.8, 0.8)])
def test_the_larger_coverage_of_the_newest_answers_is_asked_for(
    served: float, shadow: float, asked: float
) -> None:
    """The pairs before have been answered at other levels."""
    *before, last = pairs(5.0, 1.0)
    levels = (0.99, 0.95, 0.5)
    old = [
        ShadowPair(NOW, one.served._replace(coverage=levels[number % 3]), one.shadow, one.truth)
        for number, one in enumerate(before)
    ]
    old = [
        ShadowPair(NOW, one.served, one.shadow._replace(coverage=levels[number % 2]), one.truth)
        for number, one in enumerate(old)
    ]
    newest = ShadowPair(
        NOW, last.served._replace(coverage=served), last.shadow._replace(coverage=shadow), last.truth
    )
    numbers = evidence().evaluate_challenger(LOOKS, [*old, newest]).numbers
    assert numbers["coverage_asked"] == asked
