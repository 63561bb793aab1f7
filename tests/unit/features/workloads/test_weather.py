"""Hourly windows in Unix time: five hours are enough, missing ones are filled in, digits are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FieldError
from features.windows import Windower, cut_window, cut_windows
from features.workloads.weather import WORKLOAD
from tests.support.models import apogee_contract
from tests.support.weather import HOUR_S, START_S, hours, rows_of, weather_contract
from training.data.dataset import build_dataset, raw_type
from training.sources.weather import hourly_records

CONTRACT = weather_contract()
NAN = np.nan


def test_five_hours_are_answered_and_four_are_not() -> None:
    window = cut_window(CONTRACT, np.array(rows_of(hours(5))))
    np.testing.assert_array_equal(window.values[:, 0], START_S + HOUR_S * np.arange(5))
    np.testing.assert_allclose(window.values[:, 1], 10 + 0.1 * np.arange(5))
    with pytest.raises(FieldError, match=r"expected at least 14400\.00 s of samples"):
        cut_window(CONTRACT, np.array(rows_of(hours(4))))


def test_a_window_an_hour_and_a_client_sends_just_what_it_sees() -> None:
    windower = Windower(CONTRACT)
    for number, row in enumerate(rows_of(hours(30))):
        window = windower.push(row)
        assert (window is not None) == (number >= 4)
        if window is not None:
            assert windower.samples().shape == (5, 4)
            np.testing.assert_array_equal(cut_window(CONTRACT, windower.samples()).values, window.values)


def test_missing_hours_are_filled_in_up_to_two() -> None:
    table = hours(12)
    two = table.drop(index=[5, 6])
    ends = [(w.end_s - START_S) / HOUR_S for w in cut_windows(CONTRACT, rows_of(two))]
    assert ends == [4, 7, 8, 9, 10, 11]
    filled = cut_windows(CONTRACT, rows_of(two))[1]
    np.testing.assert_allclose(filled.values[:, 1], 10 + 0.1 * np.arange(3, 8))
    three = table.drop(index=[4, 5, 6])
    assert [(w.end_s - START_S) / HOUR_S for w in cut_windows(CONTRACT, rows_of(three))] == [11]
    with pytest.raises(FieldError, match="within 10800 s of the one before, at 1380582000 s"):
        cut_window(CONTRACT, np.array(rows_of(three))[2:6])


def test_a_missing_pressure_is_drawn_from_the_window_or_the_standard_atmosphere() -> None:
    some = hours(5, pressure_hpa=[1010.0, NAN, 1012.0, 1013.0, NAN])
    window = cut_window(CONTRACT, np.array(rows_of(some)))
    np.testing.assert_allclose(window.values[:, 3], [1010, 1011, 1012, 1013, 1013])
    assert window.filled == {"pressure_hpa": 2}
    none = cut_window(CONTRACT, np.array(rows_of(hours(5).drop(columns="pressure_hpa"))))
    assert set(none.values[:, 3]) == {1013.25}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3_999_000_000), st.lists(st.floats(-0.2, 0.2), min_size=12, max_size=12))
def test_at_any_unix_time_an_hour_is_an_hour(start_s: int, late: list[float]) -> None:
    """Observations up to 12 minutes off the hour: a window an hour, each on its own grid."""
    times = start_s - start_s % HOUR_S + 1800 + HOUR_S * (np.arange(12) + np.array(late))
    windows = cut_windows(CONTRACT, rows_of(hours(12, time_s=times)))
    assert len(windows) >= 7
    for window in windows:
        np.testing.assert_allclose(np.diff(window.values[:, 0]), HOUR_S, rtol=1e-9)
        assert np.isfinite(window.values).all()


def test_raw_windows_keep_their_times() -> None:
    dataset = build_dataset(CONTRACT, WORKLOAD, hourly_records(CONTRACT, hours(12)))
    np.testing.assert_array_equal(dataset.raw[0, :, 0], START_S + HOUR_S * np.arange(5))
    assert (raw_type(CONTRACT), raw_type(apogee_contract())) == (np.float64, np.float32)
