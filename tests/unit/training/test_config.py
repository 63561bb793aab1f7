"""The `training` section, and the metrics that come out of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from features.config import load_sections
from training.config import DEFAULT_TRIALS, TrainingConfig
from training.pipeline.evaluation import band_metrics, number_metrics
from training.runtime.settings import REPOSITORY
from training.runtime.tasks.base import Predicted
from training.search.fixed_hyperparameters import check_fixed

SOURCE = {"module": "toy.source"}


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"source": SOURCE, "families": ["linear", "mlp"], **changes})


def test_trials_default_by_family() -> None:
    chosen = config(trials={"mlp": 7})
    assert (chosen.trials_of("mlp"), chosen.trials_of("linear")) == (7, DEFAULT_TRIALS)


def test_shares_have_a_default_that_sums_to_one() -> None:
    assert config().shares.as_tuple() == (0.56, 0.12, 0.16, 0.16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": {"forest": 2}}, r"got 'forest', expected one of \['linear', 'mlp'\]"),
        ({"trials": {"mlp": 0}}, "trials.mlp: got 0"),
        (
            {"shares": {"train": 0.5, "valid": 0.1, "calibrate": 0.1, "test": 0.1}},
            "got the sum 0.8, expected 1",
        ),
        ({"families": []}, "families"),
        ({"coverage": 1.0}, "coverage"),
        ({"epochs": 3}, "epochs"),
        ({"workers": 0}, "workers"),
        ({"rows": {"every": 0}}, r"rows\.every"),
        ({"rows": {"weigh": "none"}}, r"rows\.weigh"),
        ({"search": {"gru": {"width": 3}}}, r"search: got 'gru', expected one of \['linear', 'mlp'\]"),
    ],
)
def test_what_does_not_hold_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)


WORKLOAD_FILES = sorted((REPOSITORY / "configs" / "workloads").glob("*.yaml"))


@pytest.mark.parametrize("path", WORKLOAD_FILES, ids=lambda path: path.stem)
def test_every_workload_has_a_sound_section(path: Any) -> None:
    found = TrainingConfig.model_validate(load_sections(path.parent, path.stem)["training"])
    check_fixed(found.search)


def test_number_metrics_are_pinned() -> None:
    truth, value = np.array([100.0, 200.0, 0.0, 50.0]), np.array([110.0, 190.0, 4.0, 50.0])
    found = number_metrics(truth, value)
    assert found["mae"] == 6.0
    assert found["rmse"] == pytest.approx(np.sqrt(54))
    assert found["median_ape_percent"] == pytest.approx(5.0)


def test_the_logarithmic_error_is_measured_where_it_is_asked_for() -> None:
    truth, value = np.array([0.0, 9.0, 99.0]), np.array([0.0, 99.0, 9.0])
    assert number_metrics(truth, value, "rmsle")["rmsle"] == pytest.approx(np.log(10) * np.sqrt(2 / 3))
    assert "rmsle" not in number_metrics(truth, value)


def test_the_ends_of_a_band_belong_to_it() -> None:
    predicted = Predicted(
        {"prediction": np.zeros(4), "lower": np.array([1.0, 2, 3, 4]), "upper": np.array([2.0, 4, 6, 8])}
    )
    found = band_metrics(np.array([1.0, 4, 6.1, 3.9]), predicted)
    assert found == {"coverage": 0.5, "mean_width": 2.5}


def test_the_old_name_of_a_fixed_parameter_still_works(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        old = config(families=["gru"], search={"gru": {"unseen": "route_*", "loss": "distance"}})
    assert old.search == {"gru": {"masked_features": "route_*", "loss": "distance"}}
    assert "write 'masked_features'" in caplog.text
