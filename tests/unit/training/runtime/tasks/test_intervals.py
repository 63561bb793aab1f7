"""Bands cover what they say, on data that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.runtime.tasks.intervals import IntervalCalibration, calibrate


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
