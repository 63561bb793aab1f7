"""The section `monitoring` of a workload's file: what holds where it says nothing, and what it may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.monitoring.settings import (
    CalibrationSettings,
    ConceptSettings,
    HysteresisSettings,
    InputSettings,
    MonitoringSettings,
    QualitySettings,
)
from tests.support.limits import limits_of

SHARE = {"exclusiveMinimum": 0, "exclusiveMaximum": 1}


def test_detectors() -> None:
    assert limits_of(HysteresisSettings) == {
        "leave": {"default": 0.7, **SHARE},
        "confirm": {"default": 2, "minimum": 1},
        "settle": {"default": 6, "minimum": 1},
    }
    assert limits_of(InputSettings) == {
        "against": {"default": "reference"},
        "threshold": {"default": 0.2, "exclusiveMinimum": 0},
        "min_rows": {"default": 200, "minimum": 10},
        "ignore": {"default": []},
        "rows_per_entity": {"default": None, "exclusiveMinimum": 0},
        "most_rows_per_s": {"default": 50.0, "exclusiveMinimum": 0},
    }
    assert limits_of(QualitySettings) == {
        "change": {"default": 0.1, **SHARE},
        "z": {"default": 5.0, "exclusiveMinimum": 0},
        "min_rows": {"default": 200, "minimum": 10},
    }
    assert limits_of(ConceptSettings) == {
        "batch": {"default": 20, "minimum": 1},
        "warmup_batches": {"default": 50, "minimum": 10},
        "slack": {"default": 0.5, "exclusiveMinimum": 0},
        "least_rise": {"default": 0.1, "minimum": 0},
        "threshold": {"default": 25.0, "exclusiveMinimum": 0},
        "delta": {"default": 1e-9, **SHARE},
        "settle_batches": {"default": 15, "minimum": 2},
    }
    assert limits_of(CalibrationSettings) == {
        "tolerance": {"default": 0.05, **SHARE},
        "z": {"default": 4.0, "exclusiveMinimum": 0},
        "min_truths": {"default": 200, "minimum": 10},
    }


def test_the_whole() -> None:
    assert limits_of(MonitoringSettings) == {
        "windows_s": {"default": [300.0, 3600.0, 86_400.0]},
        "detection_windows_s": {"default": [60.0, 300.0]},
        "check_period_s": {"default": 5.0, "exclusiveMinimum": 0},
        "late_after_s": {"default": 3600.0, "exclusiveMinimum": 0},
        "report_period_s": {"default": 600.0, "exclusiveMinimum": 0},
        "level_step": {"default": 0.01, **SHARE},
        "serve_levels": {"default": True},
    }


@pytest.mark.parametrize(("name", "longest_s"), [("windows_s", 86_400.0), ("detection_windows_s", 3600.0)])
def test_windows_are_as_long_as_their_rows_are_kept_and_no_longer(name: str, longest_s: float) -> None:
    assert getattr(MonitoringSettings.model_validate({name: [longest_s]}), name) == (longest_s,)
    for wrong, message in (
        ([longest_s + 1], "expected seconds in"),
        ([0.0], "got 0, expected seconds in"),
        ([60.0, 60.0], "expected each once"),
        ([], "at least 1 item"),
    ):
        with pytest.raises(ValidationError, match=message):
            MonitoringSettings.model_validate({name: wrong})
