"""Windows counted in points: the last ten as they are, told what is missing, the same live and recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.contract import RATE_CHANNEL, Contract
from features.errors import FieldError
from features.window_spec import PointWindow
from features.windows import Windower, cut_window, cut_windows
from training.data.dataset import raw_type

NAN = np.nan
FIELDS = [
    {"name": "time_s", "unit": "s", "min": 0, "max": 4e9},
    {"name": "altitude_m", "unit": "m", "min": -500, "max": 1e6},
    {"name": "climb_mps", "unit": "m/s", "min": -1e4, "max": 1e4, "fill": {"derivative_of": "altitude_m"}},
    {"name": "weight_kg", "unit": "kg", "min": 0, "max": 1e6, "fill": {"constant": 7}},
]


def contract(**window: Any) -> Contract:
    """Of tracks of four fields; the window is ten points, at most 60 s apart, unless told otherwise."""
    return Contract.model_validate(
        {
            "workload": "tracks",
            "schema_version": "1.0",
            "module": "none",
            "entity": "track_id",
            "window": {"time": "time_s", "points": 10, "max_gap_s": 60} | window,
            "fields": FIELDS,
            "target": {"name": "peak_m", "unit": "m", "min": 0, "max": 1e6},
        }
    )


CONTRACT = contract()


def rows_at(times: np.ndarray, altitude_m: np.ndarray | None = None) -> np.ndarray:
    rows = np.full((len(times), len(FIELDS)), NAN)
    rows[:, 0] = times
    rows[:, 1] = 5 * times**2 if altitude_m is None else altitude_m
    return rows


@st.composite
def tracks(draw: st.DrawFn) -> list[list[float]]:
    """Points 1 to 10 s apart, with gaps, missing values, duplicates and points out of order."""
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(2, 60))
    steps = generator.uniform(1, 10, count)
    if draw(st.booleans()):
        steps[generator.integers(0, count)] = 200
    rows = rows_at(np.cumsum(steps), generator.normal(0, 1e4, count))
    rows[generator.random(count) < 0.3, 2] = 3.0
    order = np.arange(count)
    if draw(st.booleans()):
        order = np.argsort(order + generator.uniform(0, 3, count))
    if draw(st.booleans()):
        order = np.sort(np.append(order, generator.integers(0, count, 3)))
    return [rows[i].tolist() for i in order]


@settings(max_examples=60, deadline=None)
@given(tracks(), st.data())
def test_later_points_never_change_an_earlier_window(rows: list[list[float]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(rows)))
    before, whole = cut_windows(CONTRACT, rows[:cut]), cut_windows(CONTRACT, rows)
    assert len(before) <= len(whole)
    for early, late in zip(before, whole, strict=False):
        np.testing.assert_array_equal(early.values, late.values)


@settings(max_examples=60, deadline=None)
@given(tracks())
def test_every_window_is_ten_points_and_what_a_client_sends_gives_it_again(rows: list[list[float]]) -> None:
    windower = Windower(CONTRACT)
    for row in rows:
        window = windower.push(row)
        if window is None:
            continue
        sent = windower.samples()
        assert sent.shape == (10, 4)
        assert window.values.shape == CONTRACT.raw_shape == (10, 5)
        assert np.isfinite(window.values).all()
        np.testing.assert_array_equal(window.values[:, :2], sent[:, :2])
        assert (np.diff(window.values[:, 0]) <= 60).all()
        np.testing.assert_array_equal(cut_window(CONTRACT, sent).values, window.values)
    counts = windower.counts
    assert counts.accepted + counts.duplicates + counts.out_of_order + counts.too_late == len(rows)


def test_a_window_a_point_from_the_tenth_on_and_anew_after_a_gap() -> None:
    times = np.concatenate([np.arange(15), 100 + np.arange(12)])
    windower = Windower(CONTRACT)
    ends = [w.end_s for w in map(windower.push, rows_at(times).tolist()) if w is not None]
    assert ends == [9, 10, 11, 12, 13, 14, 109, 110, 111]
    assert windower.counts.gaps == 1


def test_the_points_before_the_last_ten_do_not_count() -> None:
    times = np.concatenate([np.arange(5), 200 + 2.0 * np.arange(10)])
    window = cut_window(CONTRACT, rows_at(times))
    np.testing.assert_array_equal(window.values[:, 0], times[5:])
    assert window.values[:, -1].tolist() == [0.5] * 10
    assert CONTRACT.channels[-1] == RATE_CHANNEL


def test_missing_values_are_filled_at_the_times_of_the_points() -> None:
    times = np.cumsum([3.0, 1, 5, 9, 2, 2, 7, 4, 1, 6])
    rows = rows_at(times)
    window = cut_window(CONTRACT, rows)
    np.testing.assert_allclose(window.values[:, 2], 10 * times, rtol=1e-9)
    assert window.values[:, 3].tolist() == [7] * 10
    assert window.filled == {"climb_mps": 10, "weight_kg": 10}
    rows[[0, 9], 2] = 1.0, 38.0
    some = cut_window(CONTRACT, rows)
    np.testing.assert_allclose(some.values[:, 2], 1 + times - times[0])
    assert some.filled == {"climb_mps": 8, "weight_kg": 10}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([5.0], "samples: got '1 point', expected at least 10 points, each within 60 s of the one before"),
        ([0.0, 1.0, 2.0], "samples: got '3 points', expected at least 10 points"),
        ([*range(9), 99.0, 100.0], "samples: got '2 points since a gap of 91 s', expected at least 10"),
        ([*range(9), 8.0], r"samples\[9\].time_s: got 8.0, expected a time after 8 s, the one before"),
    ],
)
def test_what_is_missing_is_named(times: list[float], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        cut_window(CONTRACT, rows_at(np.array(times)))


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"length_s": 10.0}, r"points\.length_s\s+Extra inputs are not permitted"),
        ({"points": 1}, "greater than or equal to 2"),
        ({"points": 12, "max_samples": 11}, "points: got 12, expected at most max_samples, 11"),
    ],
)
def test_a_window_has_exactly_one_form(window: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        contract(**window)


def test_a_contract_survives_json_and_keeps_its_times() -> None:
    again = Contract.model_validate_json(CONTRACT.model_dump_json(by_alias=True))
    assert isinstance(again.window, PointWindow)
    assert again == CONTRACT
    assert raw_type(CONTRACT) is np.float64


@pytest.mark.parametrize("gap_s", [59.0, 60.0, 60.001, 200.0])
@pytest.mark.parametrize("place", [1, 5, 9])
def test_points_as_far_apart_as_the_limit_belong_together_and_no_others(gap_s: float, place: int) -> None:
    steps = np.ones(10)
    steps[place] = gap_s
    rows = rows_at(np.cumsum(steps))
    windower = Windower(CONTRACT)
    live = [window for window in map(windower.push, rows.tolist()) if window is not None]
    if gap_s <= 60:
        assert (len(live), windower.counts.gaps) == (1, 0)
        np.testing.assert_array_equal(cut_window(CONTRACT, rows).values, live[0].values)
    else:
        assert (live, windower.counts.gaps) == ([], 1)
        with pytest.raises(FieldError, match=f"since a gap of {gap_s:g} s"):
            cut_window(CONTRACT, rows)


@settings(max_examples=60, deadline=None)
@given(tracks(), st.lists(st.tuples(st.integers(0, 60), st.floats(0.01, 50)), min_size=1, max_size=8))
def test_points_older_than_all_that_are_kept_are_as_if_they_had_not_come(
    rows: list[list[float]], late: list[tuple[int, float]]
) -> None:
    disturbed, calm = Windower(CONTRACT), Windower(CONTRACT)
    ages = {place % len(rows): age_s for place, age_s in late}
    for number, row in enumerate(rows):
        if number in ages and len(kept := disturbed.samples()):
            assert disturbed.push([kept[0, 0] - ages[number], 9e4, NAN, NAN]) is None
        first, second = disturbed.push(row), calm.push(row)
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            np.testing.assert_array_equal(first.values, second.values)
