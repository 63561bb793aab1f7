"""Claims about recorded files with every family and all rows: half a minute.

The unit tests hold the same of one family, and of a small file.
"""

from __future__ import annotations

import numpy as np

from features.config import load_contract, load_sections
from features.workloads.trajectory import WORKLOAD
from tests.support.params import middle_params
from tests.support.recorded import recorded_file
from tests.support.tracks import trajectory_contract
from training.config import TrainingConfig
from training.data.dataset import build_dataset
from training.pipeline.crossval import cross_validate
from training.pipeline.evaluation import point_metrics
from training.runtime.settings import REPOSITORY
from training.sources.calories import read_workouts
from training.sources.tracks import read_positions, track_records

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
    contract = trajectory_contract()
    path = recorded_file("data", "trajectory", "adsb_switzerland_10s.parquet")
    dataset = build_dataset(contract, WORKLOAD, track_records(contract, read_positions(path)))
    said = WORKLOAD.baselines(dataset.features)["constant_velocity"]
    found = point_metrics(contract.target, dataset.target, said)
    errors = [found[f"mean_error_{time_s}_s_m"] / 1000 for time_s in (60, 300, 600)]
    np.testing.assert_allclose(errors, (0.559, 5.793, 17.518), atol=0.0006)
    assert abs(len(dataset.features) - 62_000) < 1000
