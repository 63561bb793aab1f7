"""The heat wave: calm first, then hotter than any season explains; the same for the same seed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.weather import calm_prepared, weather_contract, weather_parts
from training.data.dataset import build_dataset
from training.runtime.inference import Model
from training.sources.base import load_source, no_progress, serial_map
from training.sources.heatwave import HeatWave, make_source

CONTRACT = weather_contract()


def records(**options: Any) -> pd.DataFrame:
    return make_source(CONTRACT, **options).records(serial_map, no_progress)


def test_the_rise_is_calm_then_a_ramp_then_a_plateau() -> None:
    rise = HeatWave(hours=300, calm_hours=100, ramp_hours=50, height_k=8).rise_k()
    assert not rise[:101].any()
    np.testing.assert_allclose(np.diff(rise[100:151]), 8 / 50)
    np.testing.assert_allclose(rise[150:], 8)


def test_a_ramp_without_length_is_a_jump() -> None:
    rise = HeatWave(hours=10, calm_hours=4, ramp_hours=0, height_k=5).rise_k()
    assert rise.tolist() == [0] * 4 + [5] * 6


def test_the_noise_is_as_large_as_asked_and_the_calm_part_as_warm() -> None:
    wave = HeatWave(hours=20_000, calm_hours=20_000, noise_k=0.5, swing_k=4.0, mean_c=18.0)
    temperature = wave.observe(0)["temperature_c"].to_numpy()
    silent = HeatWave(hours=20_000, calm_hours=20_000, noise_k=0.0, swing_k=4.0, mean_c=18.0).observe(0)
    assert np.std(temperature - silent["temperature_c"]) == pytest.approx(0.5, rel=0.1)
    assert temperature.mean() == pytest.approx(18.0, abs=0.1)
    assert silent["temperature_c"].max() == pytest.approx(22.0)


def test_a_seed_makes_the_noise_and_stations_differ() -> None:
    pd.testing.assert_frame_equal(records(seed=1, stations=2), records(seed=1, stations=2))
    assert not np.array_equal(records(seed=1)["temperature_c"], records(seed=2)["temperature_c"])
    both = records(seed=1, stations=2)
    first, second = (part["temperature_c"].to_numpy() for _, part in both.groupby("station"))
    assert not np.array_equal(first, second)


def test_its_records_pass_the_contract_and_make_windows() -> None:
    table = records(hours=48, start="2014-07-01T00:00:00+00:00")
    assert table["time_s"].iloc[0] == datetime(2014, 7, 1, tzinfo=UTC).timestamp()
    assert table["target_temperature_c"].iloc[0] == table["temperature_c"].iloc[1]
    dataset = build_dataset(CONTRACT, calm_prepared().workload, table)
    # four hours before the first window is whole, and the last hour has no truth
    assert len(dataset.target) == 48 - 4 - 1
    for spec in CONTRACT.fields:
        assert table[spec.name].between(spec.minimum, spec.maximum).all()


def test_a_model_of_calm_weather_errs_more_in_it() -> None:
    model, workload = Model(weather_parts("ridge")), calm_prepared().workload
    errors = []
    for height_k in (0.0, 25.0):
        table = records(calm_hours=120.0, ramp_hours=12.0, height_k=height_k, hours=136, seed=9)
        dataset = build_dataset(CONTRACT, workload, table)
        ramp = dataset.end_s >= table["time_s"].iloc[0] + 120 * 3600
        error = model.predict(dataset.raw.astype(np.float64))["prediction"] - dataset.target
        errors.append(float(np.abs(error[ramp]).mean()))
    assert errors[1] > 1.5 * errors[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hours": 0}, "hours: got 0, expected at least 1"),
        ({"ramp_hours": -1.0}, "ramp_hours: got -1.0, expected 0 or more"),
        ({"start": "2014-07-01T00:00:00"}, "start: got 2014-07-01T00:00:00, expected a time with its zone"),
    ],
)
def test_options_that_do_not_hold_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_source(CONTRACT, **options)


def test_it_is_a_source_of_the_configuration() -> None:
    source = load_source(CONTRACT, {"module": "training.sources.heatwave", "hours": 24, "seed": 5})
    assert len(source.records(serial_map, no_progress)) == 24
