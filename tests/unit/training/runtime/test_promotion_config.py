"""The section `promotion` of a workload's file: what holds where it says nothing, and what it may say."""

from __future__ import annotations

from tests.support.limits import limits_of
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig


def test_when_two_versions_are_compared() -> None:
    assert limits_of(InterimLooksConfig) == {
        "first_truths": {"default": 100, "minimum": 8},
        "looks": {"default": 4, "minimum": 1, "maximum": 12},
        "at_most_h": {"default": 24.0, "exclusiveMinimum": 0},
    }
    assert [InterimLooksConfig(first_truths=10).truths_at(number) for number in range(4)] == [10, 20, 40, 80]


def test_each_phase() -> None:
    config = PromotionConfig()
    assert config.automatic
    assert (config.shadow, config.probation) == (InterimLooksConfig(), InterimLooksConfig(first_truths=200))
