"""Calories: the formula, the generated workouts, Kaggle's file, and the errors on recorded rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.config import load_contract, load_sections
from features.errors import FieldError
from features.workload import anchors_of, load_workload, transform_of
from tests.support.params import middle_params
from tests.support.recorded import recorded_file
from tests.support.tables import calories_parts
from training.config import TrainingConfig
from training.data.dataset import build_dataset, read_matrix
from training.pipeline.crossval import cross_validate
from training.pipeline.evaluation import band_metrics, number_metrics
from training.runtime.inference import Model
from training.runtime.settings import REPOSITORY
from training.sources.base import cached_records, load_source, no_progress, serial_map, with_file
from training.sources.calories import draw, make_source, read_workouts

WORKLOADS = REPOSITORY / "configs" / "workloads"
CONTRACT = load_contract(WORKLOADS, "calories")
WORKLOAD = load_workload(CONTRACT)
TRANSFORM = transform_of(WORKLOAD)
KAGGLE = ["Sex", "Age", "Height", "Weight", "Duration", "Heart_Rate", "Body_Temp"]

# A man and a woman, and what the paper's equations give for them, by hand.
MAN = [1.0, 45, 177, 81, 7, 87, 39.8]
WOMAN = [0.0, 30, 165, 60, 20, 100, 40.1]
MAN_KCAL = 7 * (-55.0969 + 0.6309 * 87 + 0.1988 * 81 + 0.2017 * 45) / 4.184
WOMAN_KCAL = 20 * (-20.4022 + 0.4472 * 100 - 0.1263 * 60 + 0.074 * 30) / 4.184


@pytest.fixture(scope="module")
def recorded() -> pd.DataFrame:
    return read_workouts(CONTRACT, recorded_file("data", "calories", "exercise_calories.parquet"))


def generated(people: int = 500, seed: int = 3) -> pd.DataFrame:
    return make_source(CONTRACT, people=people, seed=seed).records(serial_map, no_progress)


def test_the_contract_has_kaggles_columns() -> None:
    assert list(CONTRACT.field_names) == KAGGLE
    assert (CONTRACT.entity, CONTRACT.target.name, CONTRACT.target.metric) == ("id", "Calories", "rmsle")
    assert CONTRACT.fields[0].categories == ("female", "male")
    assert set(CONTRACT.example) == {"id", *KAGGLE}


def test_the_formula_is_that_of_the_paper() -> None:
    features = WORKLOAD.features(np.array([MAN, WOMAN]))
    np.testing.assert_allclose(WORKLOAD.baselines(features)["keytel_2005"], [MAN_KCAL, WOMAN_KCAL])
    np.testing.assert_allclose([MAN_KCAL, WOMAN_KCAL], [41.78, 90.63], atol=0.005)


def test_an_error_of_the_model_is_one_of_the_logarithm() -> None:
    anchors = anchors_of(WORKLOAD, WORKLOAD.features(np.array([MAN, WOMAN])))
    truth = np.array([40.0, 95.0])
    encoded = TRANSFORM.encode_target(truth, anchors)
    np.testing.assert_allclose(encoded, np.log1p(truth) - np.log1p([MAN_KCAL, WOMAN_KCAL]))
    off = TRANSFORM.decode_target(encoded + 0.1, anchors)
    np.testing.assert_allclose(np.log1p(off) - np.log1p(truth), 0.1)


ROWS = st.tuples(
    *(
        st.sampled_from([0.0, 1.0]) if spec.categories else st.floats(spec.minimum, spec.maximum)
        for spec in CONTRACT.fields
    )
)


@given(st.lists(ROWS, min_size=1, max_size=5), st.floats(0, 5000), st.floats(-1e6, 1e6), st.floats(0, 1e3))
def test_all_that_the_contract_admits_has_finite_features_and_comes_back(
    rows: list[tuple[float, ...]], target: float, encoded: float, more: float
) -> None:
    features = WORKLOAD.features(np.array(rows))
    assert features.shape == (len(rows), len(WORKLOAD.feature_names))
    assert np.isfinite(features).all()
    anchors = anchors_of(WORKLOAD, features)
    low, high = (TRANSFORM.decode_target(np.full(len(rows), e), anchors) for e in (encoded, encoded + more))
    assert np.isfinite(low).all()
    assert (low <= high).all()
    back = TRANSFORM.encode_target(low, anchors)
    np.testing.assert_allclose(TRANSFORM.decode_target(back, anchors), low, rtol=1e-9, atol=1e-9)


def test_generated_workouts_are_the_same_for_a_seed_and_look_like_recorded_ones() -> None:
    table = generated(6000)
    pd.testing.assert_frame_equal(table, generated(6000))
    assert not table.equals(generated(6000, seed=4))
    assert table["id"].tolist() == list(range(6000))
    men = table[table["Sex"] == "male"]
    assert len(men) == pytest.approx(3000, abs=120)
    assert men["Height"].mean() == pytest.approx(184.7, abs=0.6)
    assert men["Weight"].mean() == pytest.approx(86.9, abs=0.6)
    assert table["Age"].agg(["min", "max"]).tolist() == [20, 79]
    assert table["Age"].mean() == pytest.approx(42.6, abs=0.7)
    assert table["Duration"].agg(["min", "max"]).tolist() == [1, 30]
    assert table["Calories"].mean() == pytest.approx(89.7, abs=2)


def test_generated_workouts_fit_the_contract() -> None:
    raw = read_matrix(CONTRACT, generated(4000))
    for column, spec in zip(raw.T, CONTRACT.fields, strict=True):
        assert spec.minimum <= column.min()
        assert column.max() <= spec.maximum
        assert column.min() < column.max()


def test_batches_are_drawn_each_from_its_own_seed() -> None:
    whole = generated(4100)
    pd.testing.assert_frame_equal(whole.iloc[2000:4000].reset_index(drop=True), draw(3, range(2000, 4000)))


def written(path: Path, **changes: Any) -> Path:
    generated(50).assign(**changes).to_csv(path, index=False)
    return path


def test_kaggles_file_is_read_by_path(tmp_path: Path) -> None:
    file = written(tmp_path / "train.csv", comment="no field")
    options = with_file(load_sections(WORKLOADS, "calories")["training"]["source"], file)
    assert options["path"] == str(file)
    table = load_source(CONTRACT, options).records(serial_map, no_progress)
    pd.testing.assert_frame_equal(table, generated(50), check_dtype=False)
    dataset = build_dataset(CONTRACT, WORKLOAD, table)
    assert len(dataset.target) == len(set(dataset.group.tolist())) == 50


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    options = {"module": "training.sources.calories", "path": str(tmp_path / "train.csv")}
    for calories in (5.0, 6.0):
        written(tmp_path / "train.csv", Calories=calories)
        table = cached_records(CONTRACT, options, tmp_path / "data", serial_map, no_progress)
        assert set(table["Calories"]) == {calories}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Age": 7}, r"row 0, Age: got 7, expected a finite number of year in \[10, 100\]"),
        ({"Weight": ["x"] + [60] * 49}, r"row 0, Weight: got 'x', expected a finite number of kg"),
        ({"Calories": [1.0] * 49 + [None]}, r"row 49, Calories: got nan, expected a finite number of kcal"),
    ],
)
def test_a_file_with_other_values_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        read_workouts(CONTRACT, written(tmp_path / "train.csv", **changes))


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    generated(5).drop(columns="Calories").to_csv(path, index=False)
    with pytest.raises(FieldError, match=r"Calories: .* expected a column 'Calories' in test\.csv"):
        read_workouts(CONTRACT, path)
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.csv"):
        with_file({"module": "training.sources.calories"}, tmp_path / "gone.csv")


def test_a_source_that_reads_no_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training\.sources\.rockets makes its data itself"):
        with_file({"module": "training.sources.rockets"}, written(tmp_path / "train.csv"))


def test_every_recorded_row_fits_the_contract(recorded: pd.DataFrame) -> None:
    assert len(recorded) == 7402
    assert read_matrix(CONTRACT, recorded).shape == (7402, 7)


TRAINING = TrainingConfig.model_validate(load_sections(WORKLOADS, "calories")["training"])


def test_recorded_calories_are_predicted_within_the_target(recorded: pd.DataFrame) -> None:
    """By the family that is quick to fit; the others have an integration test."""
    crossed = cross_validate(CONTRACT, recorded, middle_params(["linear"]), baselines=TRAINING.baselines)
    found = {name: metrics["rmsle"] for name, metrics in crossed.metrics().items()}
    assert found["linear"] < 0.018
    assert found["keytel_2005"] == pytest.approx(0.327, abs=0.001)
    assert found["mean_by_duration"] == pytest.approx(0.203, abs=0.002)
    assert max(crossed.fold_errors("linear")) < 0.026


def test_a_model_of_generated_workouts_carries_over_to_recorded_ones(recorded: pd.DataFrame) -> None:
    parts = calories_parts("linear")
    predicted = Model(parts).predict(read_matrix(CONTRACT, recorded))
    truth = recorded["Calories"].to_numpy(np.float64)
    assert number_metrics(truth, predicted["prediction"], "rmsle")["rmsle"] < 0.021
    assert band_metrics(truth, predicted)["coverage"] == pytest.approx(0.9, abs=0.03)


def test_the_card_has_the_metric_that_the_contract_asks_for() -> None:
    card = calories_parts("linear").card
    assert card.metrics["rmsle"] < 0.021
    assert 0.25 < card.baselines["keytel_2005"]["rmsle"] < 0.4
    assert 0.15 < card.baselines["mean_by_duration"]["rmsle"] < 0.25
