"""Weather: its features, the year of New York, the seasonal baseline, and better than persistence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.config import load_sections
from features.errors import FieldError
from features.workload import anchors_of
from features.workloads.weather import WORKLOAD
from tests.support.recorded import recorded_file
from tests.support.weather import HOUR_S, START_S, calm_prepared, hours, weather_contract, weather_parts
from training.config import TrainingConfig
from training.data.dataset import build_dataset
from training.families.base import load_family
from training.pipeline.preparation import prepare
from training.pipeline.progress import no_stages
from training.runtime.settings import REPOSITORY
from training.sources.base import no_progress, serial_map
from training.sources.weather import hourly_records, make_source, new_york

CONTRACT = weather_contract()
OCTOBER_S = 1380585600.0  # 1 October 2013 in UTC


def test_the_hour_and_the_season_go_round() -> None:
    raw = np.zeros((3, 5, 5))
    noon_s = pd.Timestamp("2013-06-21T12:00:00Z").timestamp()
    for row, shift_s in enumerate((0.0, 86_400.0, 365.2425 * 86_400.0)):
        raw[row, :, 0] = noon_s + shift_s + HOUR_S * np.arange(-4, 1)
    features = WORKLOAD.features(raw)
    names = WORKLOAD.feature_names
    at = [names.index(name) for name in ("hour_sin", "hour_cos", "season_sin", "season_cos")]
    np.testing.assert_allclose(features[0, -1, at[:2]], [0, -1], atol=1e-12)
    np.testing.assert_allclose(features[1, :, at[:2]], features[0, :, at[:2]], atol=1e-9)
    np.testing.assert_allclose(features[2, :, at[2:]], features[0, :, at[2:]], atol=1e-9)
    assert features[0, -1, at[3]] == pytest.approx(-1, abs=0.03)


def test_the_target_is_the_change() -> None:
    features = calm_prepared().splits.test.features
    anchors, target = anchors_of(WORKLOAD, features), calm_prepared().splits.test.target
    change = WORKLOAD.encode_target(target, anchors)
    np.testing.assert_allclose(change, target - features[:, -1, 0])
    np.testing.assert_allclose(WORKLOAD.decode_target(change, anchors), target)
    assert (WORKLOAD.interval_scale(anchors) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_they_are_finite_wherever_the_contract_holds(data: st.DataObject) -> None:
    columns = [
        data.draw(st.lists(st.floats(f.minimum, f.maximum), min_size=5, max_size=5))
        for f in CONTRACT.fields[1:]
    ]
    end_s = data.draw(st.floats(5 * HOUR_S, CONTRACT.fields[0].maximum))
    raw = np.column_stack([end_s + HOUR_S * np.arange(-4, 1), *columns, np.ones(5)])[None]
    assert np.isfinite(WORKLOAD.features(raw)).all()


def test_the_year_of_new_york() -> None:
    table = new_york()
    assert sorted(table["station"].unique()) == ["EWR", "JFK", "LGA"]
    assert len(table) == 26_115
    assert table["windspeed_mps"].max() == pytest.approx(468.66)
    assert table["temperature_c"].between(-15, 40).mean() > 0.999


def test_a_file_gives_the_same_hours_as_the_package() -> None:
    ours = make_source(CONTRACT).records(serial_map, no_progress).set_index(["station", "time_s"])
    path = recorded_file("data", "weather", "nyc2013_hourly.parquet")
    theirs = make_source(CONTRACT, path=str(path)).records(serial_map, no_progress)
    joined = theirs.set_index(["station", "time_s"]).join(ours, rsuffix="_ours", how="inner")
    assert len(joined) == len(theirs) == 13_067
    known = joined["target_temperature_c"].notna()
    for name in ("temperature_c", "target_temperature_c", "windspeed_mps", "pressure_hpa"):
        np.testing.assert_allclose(joined[name][known], joined[f"{name}_ours"][known], atol=0.011)


def test_an_hour_that_the_api_would_refuse_is_no_sample_but_a_truth() -> None:
    wind = np.full(8, 3.0)
    wind[5] = 469.0
    table = hourly_records(CONTRACT, hours(8, windspeed_mps=wind))
    assert START_S + 5 * HOUR_S not in set(table["time_s"])
    before = table[table["time_s"] == START_S + 4 * HOUR_S]
    assert before["target_temperature_c"].tolist() == [10.5]
    dataset = build_dataset(CONTRACT, WORKLOAD, table)
    assert ((dataset.end_s - START_S) / HOUR_S).tolist() == [4, 6]  # the last hour has no truth


def test_without_the_next_hour_there_is_no_truth() -> None:
    table = hourly_records(CONTRACT, hours(10).drop(index=7))
    unknown = table.loc[table["target_temperature_c"].isna(), "time_s"]
    assert ((unknown - START_S) / HOUR_S).tolist() == [6, 9]


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    hours(3).drop(columns="windspeed_mps").to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(FieldError, match=r"expected a column 'windspeed_mps' in w\.csv"):
        make_source(CONTRACT, path=str(tmp_path / "w.csv")).records(serial_map, no_progress)


def test_the_seasonal_baseline_knows_the_hour_of_the_day() -> None:
    prepared = calm_prepared()
    test = prepared.splits.test
    seasonal = np.sqrt(np.mean((prepared.baselines["seasonal"] - test.target) ** 2))
    persistence = WORKLOAD.baselines(test.features)["persistence"]
    assert seasonal < 0.75 * np.sqrt(np.mean((persistence - test.target) ** 2))
    card = weather_parts("ridge").card
    assert set(card.baselines) == {"persistence", "seasonal"}
    assert card.baselines["seasonal"]["rmse"] == pytest.approx(seasonal)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ridge_beats_persistence_from_october_on(tmp_path: Path) -> None:
    """The year of New York, trained on what comes before 29 September."""
    config = TrainingConfig.model_validate(
        load_sections(REPOSITORY / "configs" / "workloads", "weather")["training"]
    )
    prepared = prepare(CONTRACT, config, tmp_path, 0, serial_map, no_stages)
    learnt = (prepared.splits.train, prepared.splits.valid, prepared.splits.calibrate)
    assert max(part.end_s.max() for part in learnt) + HOUR_S < OCTOBER_S
    params = {"alpha": 1000.0, "products": True}
    fitted = load_family("ridge").fit(params, prepared.train, prepared.valid, 0, lambda *_: None)
    test = prepared.splits.test.take(np.flatnonzero(prepared.splits.test.end_s >= OCTOBER_S))
    x = prepared.scaler.transform(test.features).astype(np.float32)
    change = prepared.target_scaler.inverse(fitted.predict(x).astype(np.float64))[:, 0]
    last = test.features[:, -1, 0]
    ours, persistence = (np.sqrt(np.mean((v - test.target) ** 2)) for v in (last + change, last))
    assert persistence == pytest.approx(0.891, abs=0.005)
    assert ours < 0.83 * persistence
