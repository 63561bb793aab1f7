"""Windows over irregular telemetry: causal, on the grid, at any rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.config import load_contract
from features.contract import Contract
from features.errors import FieldError
from features.window_spec import GridWindow
from features.windows import Window, Windower, cut_window, cut_windows, needed_samples
from tests.support.examples import examples
from training.runtime.settings import REPOSITORY

CONTRACT = load_contract(REPOSITORY / "configs" / "workloads", "apogee")
FIELDS = len(CONTRACT.fields)


def grid_window() -> GridWindow:
    assert isinstance(CONTRACT.window, GridWindow)
    return CONTRACT.window


SPEC = grid_window()


def rows_at(times: np.ndarray, altitude: np.ndarray | None = None) -> list[list[float]]:
    """Samples with time and altitude only, in contract order."""
    rows = np.full((len(times), FIELDS), np.nan)
    rows[:, 0] = times
    rows[:, 1] = 100 * times - 4.9 * times**2 if altitude is None else altitude
    return rows.tolist()


def same(first: Window, second: Window) -> bool:
    return first.end_s == second.end_s and np.array_equal(first.values, second.values)


@st.composite
def telemetry(draw: st.DrawFn) -> list[list[float]]:
    """Rates from 1 to 400 Hz with jitter, losses, duplicates, gaps and packets out of order."""
    rate_hz = draw(st.sampled_from([1.0, 3.0, 10.0, 16.7, 20.0, 90.0, 400.0]))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = int(rate_hz * draw(st.sampled_from([2, 4, 6]))) + 2
    steps = generator.uniform(0.6, 1.4, count) if draw(st.booleans()) else np.ones(count)
    times = np.cumsum(steps) / rate_hz
    if draw(st.booleans()):
        times[count // 2 :] += 4.0
    order = np.arange(count)
    if draw(st.booleans()):
        order = np.argsort(order + generator.uniform(0, 3, count))
    if draw(st.booleans()):
        order = np.sort(np.append(order, generator.integers(0, count, 3)))
    rows = rows_at(times, generator.normal(0, 100, count))
    return [rows[i] for i in order]


@settings(max_examples=examples(10), deadline=None)
@given(telemetry(), st.data())
def test_later_samples_never_change_an_earlier_window(rows: list[list[float]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(rows)))
    before, whole = cut_windows(CONTRACT, rows[:cut]), cut_windows(CONTRACT, rows)
    assert len(before) <= len(whole)
    assert all(same(a, b) for a, b in zip(before, whole, strict=False))


@settings(max_examples=examples(10), deadline=None)
@given(telemetry(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_packets_from_the_past_never_change_a_window(rows: list[list[float]], places: list[float]) -> None:
    times = [row[0] for row in rows]
    late_s = np.array([min(times) + place * (max(times) - min(times)) for place in places])
    late = rows_at(late_s, np.full(len(late_s), 9e4))
    before, whole = cut_windows(CONTRACT, rows), cut_windows(CONTRACT, rows + late)
    assert len(before) == len(whole)
    assert all(same(a, b) for a, b in zip(before, whole, strict=True))


@settings(max_examples=examples(15), deadline=None)
@given(telemetry(), st.lists(st.tuples(st.integers(0, 400), st.floats(0.001, 5)), min_size=1, max_size=8))
def test_packets_older_than_all_that_is_kept_are_as_if_they_had_not_come(
    rows: list[list[float]], late: list[tuple[int, float]]
) -> None:
    """They come in the middle, so what they would leave behind is cut by the windows after them."""
    disturbed, calm = Windower(CONTRACT), Windower(CONTRACT)
    ages = {place % len(rows): age_s for place, age_s in late}
    refused = 0
    for number, row in enumerate(rows):
        if number in ages and len(kept := disturbed.samples()):
            older = rows_at(kept[:1, 0] - ages[number], np.array([9e4]))
            assert disturbed.push(older[0]) is None
            refused += 1
        first, second = disturbed.push(row), calm.push(row)
        assert (first is None) == (second is None)
        assert first is None or second is None or same(first, second)
    assert disturbed.counts.too_late == calm.counts.too_late + refused


@settings(max_examples=examples(10), deadline=None)
@given(telemetry())
def test_every_window_is_whole_finite_and_at_most_one_a_stride(rows: list[list[float]]) -> None:
    windower = Windower(CONTRACT)
    ends = []
    for row in rows:
        window = windower.push(row)
        if window is None:
            continue
        ends.append(window.end_s)
        assert window.values.shape == CONTRACT.raw_shape
        assert np.isfinite(window.values).all()
        assert window.end_s == row[0]
        np.testing.assert_allclose(np.diff(window.values[:, 0]), 1 / SPEC.rate_hz)
        # what the client would send for it gives the same window again
        assert same(window, cut_window(CONTRACT, windower.samples()))
    strides = np.floor(np.array(ends) / SPEC.stride_s + 1e-9)
    assert np.all(np.diff(strides) >= 1)
    counts = windower.counts
    assert counts.accepted + counts.duplicates + counts.out_of_order + counts.too_late == len(rows)
    assert counts.windows == len(ends)


@pytest.mark.parametrize(
    ("rate_hz", "expected"), [(1.0, 8), (10.0, 32), (20.0, 32), (100.0, 32), (400.0, 32)]
)
def test_how_many_windows_ten_seconds_give(rate_hz: float, expected: int) -> None:
    times = np.arange(0, 10 + 1e-9, 1 / rate_hz)
    windows = cut_windows(CONTRACT, rows_at(times))
    assert len(windows) == expected
    assert windows[0].values[-1, -1] == pytest.approx(rate_hz)


def test_derivatives_are_filled_from_the_altitude() -> None:
    window = cut_windows(CONTRACT, rows_at(np.arange(0, 3, 0.05)))[-1]
    np.testing.assert_allclose(window.values[:, 2], 100 - 9.8 * window.values[:, 0])
    np.testing.assert_allclose(window.values[:, 3], -9.8, rtol=1e-6)
    assert window.filled["vertical_velocity_mps"] == SPEC.steps


def test_a_height_that_stays_has_a_speed_of_exactly_0() -> None:
    """However high: differences are taken from the last value."""
    times = np.arange(0, 3, 0.05)
    window = cut_windows(CONTRACT, rows_at(times, np.full(len(times), 99_000.1)))[-1]
    assert set(window.values[:, 2:4].ravel().tolist()) == {0.0}


def test_a_late_packet_joins_later_windows_only() -> None:
    times = np.round(np.arange(0, 4, 0.1), 3)
    late = [times[i] for i in range(len(times)) if i != 30] + [times[30]]
    windower = Windower(CONTRACT)
    windows = [w for w in map(windower.push, rows_at(np.array(late))) if w is not None]
    assert windower.counts.out_of_order == 1
    assert windows[-1].end_s < 3.9 + 1e-9
    assert 3.0 in windower.samples()[:, 0]


def test_a_gap_starts_afresh() -> None:
    times = np.concatenate([np.arange(0, 3, 0.05), np.arange(5, 8, 0.05)])
    windower = Windower(CONTRACT)
    ends = [w.end_s for w in map(windower.push, rows_at(times)) if w is not None]
    assert windower.counts.gaps == 1
    assert not [end for end in ends if 3 <= end < 5 + SPEC.length_s - 0.11]


@pytest.mark.parametrize(
    ("times", "field", "message"),
    [
        ([0.0], "samples", "expected at least 2 samples"),
        ([0.0, 0.5, 1.0], "samples", "expected at least 2.45 s of samples"),
        ([0.0, 0.5, 0.5, 2.6], "samples[2].time_s", "expected a time after 0.5 s"),
        (
            [0.0, 1.0, 2.5, 3.0],
            "samples[2].time_s",
            "expected a sample within 1.1 s of the one before, at 1 s",
        ),
    ],
)
def test_what_is_wrong_is_named(times: list[float], field: str, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        cut_window(CONTRACT, np.array(rows_at(np.array(times))))
    assert caught.value.field == field
    assert message in str(caught.value)


@given(st.lists(st.booleans(), min_size=61, max_size=61), st.integers(0, 10_000))
def test_a_field_with_holes_is_interpolated_over_its_own_samples(sent: list[bool], seed: int) -> None:
    times = np.arange(61) / 20
    samples = np.array(rows_at(times))
    column = CONTRACT.field_names.index("pitch_deg")
    samples[sent, column] = np.random.default_rng(seed).uniform(0, 90, sum(sent))
    window = cut_window(CONTRACT, samples)
    grid = times[-1] - np.arange(SPEC.steps)[::-1] / SPEC.rate_hz
    used = np.arange(61) >= np.searchsorted(times, grid[0], side="right") - 1
    seen = np.flatnonzero(used & sent)
    if seen.size:
        assert window.filled.get("pitch_deg", 0) == used.sum() - seen.size
        expected = np.interp(grid, times[seen], samples[seen, column])
        np.testing.assert_array_equal(window.values[:, column], expected)
    else:
        assert window.filled["pitch_deg"] == SPEC.steps


@given(st.floats(0.2, 2.0))
@example(1.1)
@example(1.11)
def test_a_gap_may_be_as_wide_as_the_limit_and_no_wider(gap_s: float) -> None:
    """The limit is 1.1 s, and what rounding of times adds."""
    assert SPEC.max_gap_s == 1.1
    samples = np.array(rows_at(np.array([0.0, 1.0, 1.0 + gap_s, 2.0 + gap_s, 3.0 + gap_s])))
    if gap_s <= 1.1:
        assert cut_window(CONTRACT, samples).end_s == 3.0 + gap_s
    elif gap_s > 1.1 + 2e-9:
        with pytest.raises(
            FieldError, match=r"samples\[2\]\.time_s.*within 1\.1 s of the one before, at 1 s"
        ):
            cut_window(CONTRACT, samples)


@pytest.mark.parametrize(("gap_s", "gaps"), [(1.0, 0), (1.1, 0), (1.101, 1)])
def test_a_stream_starts_afresh_after_a_gap_above_the_limit_alone(gap_s: float, gaps: int) -> None:
    windower = Windower(CONTRACT)
    for row in rows_at(np.array([0.0, gap_s])):
        windower.push(row)
    assert (windower.counts.gaps, len(windower.samples())) == (gaps, 2 - gaps)


def grid_contract(**window: float) -> Contract:
    return CONTRACT.model_copy(update={"window": SPEC.model_copy(update=window)})


def test_a_sample_on_the_first_grid_point_is_the_first_that_matters() -> None:
    contract = grid_contract(rate_hz=1.0, length_s=4.0, max_gap_s=2.0)
    times = np.array([0.0, 1.5, 2.0, 3.0, 4.0, 5.0])
    window = cut_window(contract, np.array(rows_at(times)))
    assert window.values[:, 0].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert window.values[0, -1] == 1.0, "four samples in three seconds, not five in three and a half"
    assert len(needed_samples(contract, np.array(rows_at(times)))) == 4


@pytest.mark.parametrize("late_steps", [0.0, 1.0, 1.001])
def test_a_first_sample_may_be_late_by_the_slack_and_no_more(late_steps: float) -> None:
    contract = grid_contract(rate_hz=1.0, length_s=4.0, max_gap_s=2.0)
    samples = np.array(rows_at(np.array([2.0 + late_steps, 4.0, 5.0])))
    if late_steps <= 1:
        assert cut_window(contract, samples).end_s == 5.0
    else:
        with pytest.raises(FieldError, match=r"at least 3\.00 s of samples"):
            cut_window(contract, samples)


def test_a_time_at_a_stride_begins_it_however_it_is_written() -> None:
    """0.3 / 0.1 is 2.9999999999999996."""
    contract = grid_contract(stride_s=0.1, rate_hz=20.0, length_s=0.2)
    times = np.array([round(0.1 * number, 1) for number in range(40)])
    ends = [window.end_s for window in cut_windows(contract, rows_at(times))]
    assert ends == times[-len(ends) :].tolist()
    assert len(ends) >= 37
