"""Claims about recorded files with every family and all rows: half a minute.

The unit tests hold the same of one family, and of a small file.
"""

from __future__ import annotations

import numpy as np

from features.config import load_contract, load_sections
from tests.support.params import middle_params
from tests.support.recorded import recorded_file
from tests.support.tracks import constant_velocity_errors
from training.config import TrainingConfig
from training.pipeline.crossval import cross_validate
from training.runtime.settings import REPOSITORY
from training.sources.calories import read_workouts

WORKLOADS = REPOSITORY / "configs" / "workloads"


def test_recorded_calories_are_predicted_within_the_target_by_every_family() -> None:
    contract = load_contract(WORKLOADS, "calories")
    training = TrainingConfig.model_validate(load_sections(WORKLOADS, "calories")["training"])
    recorded = read_workouts(contract, recorded_file("data", "calories", "exercise_calories.parquet"))
    crossed = cross_validate(contract, recorded, middle_params(training.families))
    found = {name: metrics["rmsle"] for name, metrics in crossed.metrics().items()}
    assert found["gradient_boosting"] < 0.021
    assert found["mlp"] < 0.020
    assert found["linear"] < 0.018
    assert max(max(crossed.fold_errors(family)) for family in training.families) < 0.026


def test_constant_velocity_on_all_recorded_tracks_of_switzerland() -> None:
    errors_km, rows = constant_velocity_errors(
        recorded_file("data", "trajectory", "adsb_switzerland_10s.parquet")
    )
    np.testing.assert_allclose(errors_km, (0.559, 5.793, 17.518), atol=0.0006)
    assert abs(rows - 62_000) < 1000
