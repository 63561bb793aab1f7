"""The section `retraining` of a workload's file: what holds where it says nothing, and what it may say."""

from __future__ import annotations

from tests.support.limits import limits_of
from training.runtime.retraining_config import GateConfig, RetrainingConfig


def test_the_gate() -> None:
    assert limits_of(GateConfig) == {
        "alpha": {"default": 0.05, "exclusiveMinimum": 0, "maximum": 0.083},
        "min_gain": {"default": 0.01, "minimum": 0, "exclusiveMaximum": 1},
        "blocks": {"default": 16, "minimum": 4},
        "min_truths": {"default": 64, "minimum": 4},
        "coverage_slack": {"default": 0.02, "minimum": 0, "exclusiveMaximum": 1},
        "max_latency_ratio": {"default": 2.0, "minimum": 1},
        "unfelt_latency_s": {"default": 0.001, "minimum": 0},
    }


def test_when_and_on_what_a_workload_is_trained_again() -> None:
    assert limits_of(RetrainingConfig) == {
        "every_h": {"default": 24.0, "exclusiveMinimum": 0},
        "cooldown_min": {"default": 30.0, "minimum": 0},
        "min_truths": {"default": 256, "minimum": 8},
        "max_truths": {"default": 20_000, "minimum": 8},
        "jobs_per_day": {"default": 6, "minimum": 1},
        "trials": {"default": None, "minimum": 1},
        "attempts": {"default": 3, "minimum": 1},
        "journal_share": {"default": 0.8, "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "held_out": {"default": 0.25, "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    }
    assert RetrainingConfig().gate == GateConfig()
