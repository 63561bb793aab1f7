"""Bands cover what they say, on data that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.runtime.tasks.intervals import (
    IntervalCalibration,
    calibrate,
    conformal_quantiles,
    score_at,
    widening,
)


def residuals(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spread grows sixfold along the variable."""
    generator = np.random.default_rng(seed)
    variable = generator.uniform(0, 5, rows)
    return variable, generator.standard_t(4, rows) * (1 + variable)


def test_coverage_holds_overall_and_along_the_variable() -> None:
    calibration = calibrate(*residuals(4000, 0), coverage=0.9)
    variable, residual = residuals(20_000, 1)
    inside = np.abs(residual) <= calibration.half_width(variable)
    assert inside.mean() == pytest.approx(0.9, abs=0.015)
    for low in range(5):
        assert inside[(variable >= low) & (variable < low + 1)].mean() == pytest.approx(0.9, abs=0.03)


def test_width_follows_the_scale() -> None:
    calibration = calibrate(*residuals(20_000, 2), coverage=0.9)
    narrow, wide = calibration.half_width(np.array([0.5, 4.5]))
    assert wide / narrow == pytest.approx(5.5 / 1.5, rel=0.15)


def test_the_level_can_move() -> None:
    calibration = calibrate(*residuals(4000, 3), coverage=0.9)
    variable, residual = residuals(20_000, 4)
    for coverage in (0.5, 0.8, 0.95):
        inside = np.abs(residual) <= calibration.half_width(variable, coverage)
        assert inside.mean() == pytest.approx(coverage, abs=0.02)


def test_the_finite_sample_quantile() -> None:
    """Of 10 equal-scale residuals the 90 % band is the largest: ceil(11 * 0.9) = 10."""
    size = np.arange(1.0, 11.0)
    calibration = calibrate(np.zeros(10), size, coverage=0.9, bins=1)
    assert calibration.half_width(np.zeros(1)) == pytest.approx(10.0)


def test_entities_count_alike() -> None:
    """One entity with 900 rows of residual 10 and 99 entities with one row of residual 1."""
    residual = np.append(np.full(900, 10.0), np.ones(99))
    group = np.append(np.zeros(900, np.int64), np.arange(1, 100))
    by_entity = calibrate(np.zeros(999), residual, 0.9, bins=1, group=group)
    assert by_entity.half_width(np.zeros(1)) == pytest.approx(1.0)
    by_row = calibrate(np.zeros(999), residual, 0.9, bins=1)
    assert by_row.half_width(np.zeros(1)) == pytest.approx(10.0)


def test_the_finite_sample_correction_is_that_of_entities() -> None:
    """Ten entities of 100 equal rows each: the band has to reach the largest, as with ten rows."""
    group = np.repeat(np.arange(10), 100)
    misses = np.repeat(np.arange(1.0, 11.0), 100)
    calibration = calibrate(np.zeros(1000), misses, 0.9, bins=1, group=group)
    assert calibration.half_width(np.zeros(1)) == pytest.approx(10.0)
    by_row = calibrate(np.zeros(1000), misses, 0.9, bins=1)
    assert by_row.half_width(np.zeros(1)) == pytest.approx(10.0)
    assert by_row.half_width(np.zeros(1), 0.85) == pytest.approx(9.0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.05, 0.99), st.integers(0, 2**32 - 1)
)
def test_total_and_monotonic_in_the_level(values: list[float], coverage: float, seed: int) -> None:
    variable = np.random.default_rng(seed).normal(size=len(values))
    calibration = calibrate(variable, np.array(values), coverage)
    widths = np.array([calibration.half_width(variable, level) for level in (0.1, 0.5, 0.9, 0.99)])
    assert np.isfinite(widths).all()
    assert (np.diff(widths, axis=0) >= 0).all()
    assert list(calibration.knots) == sorted(set(calibration.knots))


def test_round_trip_as_json() -> None:
    calibration = calibrate(*residuals(500, 5), coverage=0.9)
    assert IntervalCalibration.model_validate_json(calibration.model_dump_json()) == calibration


@pytest.mark.parametrize(
    ("rows", "residual_rows", "coverage", "message"),
    [(3, 2, 0.9, "got 2 rows for 3"), (0, 0, 0.9, "got 0 rows"), (3, 3, 1.0, "coverage: got 1.0")],
)
def test_what_cannot_be_calibrated(rows: int, residual_rows: int, coverage: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate(np.zeros(rows), np.zeros(residual_rows), coverage)


def test_bands_set_on_few_rows_hold_as_many_truths_as_others() -> None:
    """With 12 bins for 188 rows they hold 88.1 %."""
    held = []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        variable = generator.uniform(0, 1, (2, 2000))
        residual = generator.normal(size=(2, 2000)) * (0.5 + variable)
        few = calibrate(variable[0, :188], residual[0, :188], 0.9)
        held.append((np.abs(residual[1]) <= few.half_width(variable[1])).mean())
    assert np.mean(held) == pytest.approx(0.9, abs=0.006)


LEVELS, SCORES = (0.5, 0.8, 0.9, 0.95, 0.99), (1.0, 2.0, 3.0, 4.0, 6.0)


@given(st.floats(0.01, 0.99))
@example(0.5)
@example(0.8)
@example(0.99)
def test_scores_are_linear_between_levels(coverage: float) -> None:
    expected = np.interp(coverage, LEVELS, SCORES)
    assert score_at(LEVELS, SCORES, coverage) == pytest.approx(expected, abs=1e-12)
    short = score_at(LEVELS[:3], SCORES[:3], coverage)
    assert short == pytest.approx(np.interp(coverage, LEVELS[:3], SCORES[:3]), abs=1e-12)


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        # from 0.95 to 0.99 misses are divided by five: log10(5) decades for two
        (0.999, 6.0 + 2.0 / np.log10(5)),
        (0.998, 6.0 + 2.0),
        (0.9999, 6.0 + 4.0 / np.log10(5)),
        (0.999999, 6.0 + 8.0 / np.log10(5)),
        (0.99999999, 6.0 + 8.0 / np.log10(5)),
    ],
)
def test_beyond_the_last_level_each_tenth_of_misses_adds_as_much(coverage: float, expected: float) -> None:
    assert score_at(LEVELS, SCORES, coverage) == pytest.approx(expected)


def test_a_tail_that_begins_at_the_last_level_but_one() -> None:
    assert score_at((0.5, 0.96), (1.0, 2.0), 0.996) == pytest.approx(2 + 1 / np.log10(0.5 / 0.04))
    assert score_at((0.5, 0.95), (1.0, 2.0), 0.996) == 2.0, "without a level above 0.95 there is no tail"


def test_a_tail_begins_at_0_95_however_many_levels_lie_beyond() -> None:
    levels, scores = (0.5, 0.95, 0.96, 0.97, 0.99), (1.0, 2.0, 2.1, 2.2, 4.0)
    assert score_at(levels, scores, 0.998) == pytest.approx(4.0 + 2.0), "as far as from 0.95 to 0.99"
    later = score_at((0.5, 0.94, 0.97, 0.99), (1.0, 2.0, 3.0, 4.0), 0.999)
    assert later == pytest.approx(4.0 + 2.0 / np.log10(6)), "from the last level up to 0.95"


def test_by_what_a_band_is_widened_for_another_level() -> None:
    assert widening(LEVELS, SCORES, 0.8, 0.95) == 2.0
    assert widening(LEVELS, SCORES, 0.95, 0.8) == 0.5
    assert widening((0.5, 0.9), (0.0, 0.0), 0.5, 0.9) == 1.0
    assert widening((0.5, 0.9), (0.0, 0.5), 0.9, 0.5) == 0.0


def test_the_levels_of_a_calibration() -> None:
    levels, scores = conformal_quantiles(np.arange(1.0, 1000.0), 0.42)
    usual = [round(0.05 * number, 3) for number in range(1, 19)]
    fine = [0.95, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995]
    assert list(levels) == sorted([*usual, *fine, 0.42])
    assert list(scores) == [np.ceil(1000 * level - 1e-9) for level in levels]


def test_the_scale_is_that_of_the_rows_around_each_knot() -> None:
    """Three bins; a row at an edge belongs to the one after it, so they have 39, 40 and 41 rows."""
    variable = np.arange(120.0)
    residual = np.tile(np.arange(1.0, 41.0), 3) * np.repeat([1.0, 10.0, 100.0], 40)
    calibration = calibrate(variable, residual, 0.9)
    assert calibration.knots == (19.0, 58.0, 99.0)
    assert calibration.scales == (32.0, 310.0, 3200.0)
    assert len(calibrate(variable[:119], residual[:119], 0.9).knots) == 2
    assert len(calibrate(variable, residual, 0.9, bins=2).knots) == 2
    assert len(calibrate(np.arange(4800.0), np.ones(4800), 0.9).knots) == 12


def test_a_scale_is_never_0() -> None:
    calibration = calibrate(np.zeros(50), np.zeros(50), 0.9)
    assert (calibration.knots, calibration.scales) == ((0.0,), (1e-9,))
    assert calibration.half_width(np.zeros(1)).tolist() == [0.0]


def test_a_model_that_is_not_calibrated_has_bands_without_a_width() -> None:
    unknown = IntervalCalibration.unknown(0.8)
    assert unknown.model_dump() == {
        "coverage": 0.8,
        **dict.fromkeys(("knots", "scales", "levels", "scores"), (0.0,)),
    }
    assert unknown.half_width(np.array([0.0, 5.0])).tolist() == [0.0, 0.0]
