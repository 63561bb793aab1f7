"""The level of regions follows the truths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deployments.monitoring.levels import AdaptiveLevel, round_level
from training.runtime.tasks.intervals import calibrate, score_at, widening

WIDEST = 0.999999


def covered(noise: NDArray[np.float64], adaptive: bool, step: float = 0.01) -> NDArray[np.bool_]:
    """Which truths the regions of a calibration to standard normal errors hold, one after the other."""
    rng = np.random.default_rng(0)
    found = calibrate(np.zeros(4000), rng.normal(size=4000), 0.9, bins=1)
    level = AdaptiveLevel(0.9, step)
    held = []
    for error in np.abs(noise):
        coverage = level.coverage if adaptive else 0.9
        held.append(error <= found.scales[0] * score_at(found.levels, found.scores, coverage))
        level.update(float(held[-1]))
    return np.array(held)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.4, 1.5, 2.0, 3.0])
def test_coverage_is_back_in_500_truths_after_a_step_in_noise(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    noise = np.concatenate([rng.normal(size=2000), rng.normal(size=1000) * spread])
    adaptive = covered(noise, adaptive=True)
    assert adaptive[:2000].mean() == pytest.approx(0.9, abs=0.01)
    assert adaptive[2500:].mean() == pytest.approx(0.9, abs=0.03)
    if spread > 1:  # what is too wide may shrink by a thousandth of coverage a truth
        assert adaptive[2000:2500].mean() == pytest.approx(0.9, abs=0.03)
    assert abs(covered(noise, adaptive=False)[2500:].mean() - 0.9) > 0.05


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.sampled_from([0.005, 0.01, 0.1]))
def test_the_mean_of_misses_is_as_near_to_nominal_as_the_paper_proves(held: list[bool], step: float) -> None:
    """Where a region at the ends of the levels holds all or nothing, as the proposition takes it."""
    level, misses = AdaptiveLevel(0.9, step), []
    for is_held in held:
        is_held = True if level.coverage == WIDEST else False if level.alpha >= 1 else is_held
        misses.append(1 - is_held)
        level.update(float(is_held))
        assert level.alpha <= 1 + step
        assert 0 < level.coverage < 1
    bound = (0.9 + step) / (step * len(held))
    assert abs(np.mean(misses) - 0.1) <= bound + 1e-9


def test_a_level_goes_on_from_where_it_was() -> None:
    level = AdaptiveLevel(0.9, 0.01)
    for held in (0.0, 1.0, 0.5):
        level.update(held)
    assert level.alpha == pytest.approx(0.1 + 0.01 * (0.3 - 1.5))
    assert level.truths == 3
    assert AdaptiveLevel(0.9, 0.01, alpha=level.alpha).coverage == level.coverage


@pytest.mark.parametrize("nominal", [0.5, 0.9, 0.95, 0.99, 0.9995])
def test_a_level_begins_at_the_nominal_one(nominal: float) -> None:
    assert AdaptiveLevel(nominal, 0.01).coverage == pytest.approx(nominal)


def test_where_few_miss_a_truth_moves_the_level_by_a_part_of_them() -> None:
    level, found = AdaptiveLevel(0.9, 0.01), []
    for _ in range(11):
        level.update(covered=0.0)
        found.append(level.coverage)
    assert found == [
        *(0.909, 0.918, 0.927, 0.936, 0.945),
        *(0.968, 0.989, 0.996, 0.9986, 0.9995, 0.99982),
    ]
    for _ in range(9):
        level.update(covered=1.0)
    assert level.coverage == 0.9995


def test_a_level_comes_back_from_errors_that_no_region_holds() -> None:
    level = AdaptiveLevel(0.9, 0.01)
    for _ in range(10_000):
        level.update(covered=0.0)
    assert level.coverage == WIDEST
    for _ in range(150):
        level.update(covered=1.0)
    assert level.coverage == 0.904


@dataclass(frozen=True)
class Delayed:
    """Whether regions held, and at which level they were made, where truths come 300 regions late."""

    held: NDArray[np.bool_]
    levels: NDArray[np.float64]

    def farthest(self) -> float:
        """Of the coverage of any 1000 in a row from the nominal one, once 4000 are over."""
        means = np.convolve(self.held[4000:], np.full(1000, 1e-3), "valid")
        return float(np.abs(means - 0.9).max())


def delayed(spread: float, by_present_level: bool) -> Delayed:
    """Regions of 14,000 truths whose noise is so many times as large from the 2000th on."""
    rng = np.random.default_rng(1)
    found = calibrate(np.zeros(4000), rng.normal(size=4000), 0.9, bins=1)
    errors = np.abs(rng.normal(size=14_000))
    errors[2000:] *= spread

    def holds(error: float, coverage: float) -> bool:
        return bool(error <= found.scales[0] * score_at(found.levels, found.scores, coverage))

    level, held, levels = AdaptiveLevel(0.9, 0.01), [], []
    for number, error in enumerate(errors):
        levels.append(level.coverage)
        held.append(holds(error, level.coverage))
        known = number - 300
        if known >= 0:
            level.update(float(holds(errors[known], level.coverage) if by_present_level else held[known]))
    return Delayed(np.array(held), np.array(levels))


@pytest.mark.parametrize("spread", [1.0, 1.5, 3.0])
def test_truths_that_come_300_regions_late_do_not_make_a_level_swing(spread: float) -> None:
    found = delayed(spread, by_present_level=True)
    assert found.held[4000:].mean() == pytest.approx(0.9, abs=0.005)
    assert found.held[2800:3300].mean() == pytest.approx(0.9, abs=0.03)
    assert found.farthest() < 0.035
    # what one truth after another makes it waver by is all there is
    assert found.levels[4000:].std() < 0.025
    swinging = delayed(spread, by_present_level=False)
    assert swinging.levels[4000:].std() > 3 * found.levels[4000:].std()
    assert swinging.farthest() > 0.06


LEVELS, SCORES = (0.5, 0.9, 0.95, 0.995), (0.7, 1.6, 2.0, 3.0)


@pytest.mark.parametrize(
    ("coverage", "score"),
    [(0.1, 0.7), (0.7, 1.15), (0.95, 2.0), (0.995, 3.0), (0.9995, 4.0), (0.99995, 5.0), (1.0, 6.69897)],
)
def test_scores_go_on_beyond_the_last_level(coverage: float, score: float) -> None:
    assert score_at(LEVELS, SCORES, coverage) == pytest.approx(score)


@given(st.floats(0.0, 0.995))
def test_scores_are_linear_between_levels(coverage: float) -> None:
    assert score_at(LEVELS, SCORES, coverage) == pytest.approx(np.interp(coverage, LEVELS, SCORES), rel=1e-14)


def test_a_calibration_that_knows_no_tail_ends_at_its_last_level() -> None:
    assert score_at((0,), (0,), 0.99) == 0.0
    assert score_at((0.5, 0.9), (1.0, 2.0), 0.99) == 2.0


def test_regions_are_widened_by_the_ratio_of_scores() -> None:
    assert widening(LEVELS, SCORES, made_at=0.9, coverage=0.995) == pytest.approx(3.0 / 1.6)
    assert widening((0,), (0,), made_at=0.9, coverage=0.995) == 1.0


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        (0.91234, 0.912),
        (0.9987654, 0.9988),
        (0.5004, 0.5),
        (0.989949, 0.99),
        (0.99000001, 0.99),
        (0.998949, 0.9989),
        (0.99989949, 0.9999),
        (0.0004, 0.001),
        (0.0016, 0.002),
    ],
)
def test_shares_of_misses_keep_two_figures(coverage: float, expected: float) -> None:
    assert round_level(coverage) == expected


@given(st.floats(-0.05, 1.2))
def test_below_a_miss_of_5_percent_a_step_is_a_part_of_a_decade(alpha: float) -> None:
    """The level falls as alpha rises, without a jump where the scale bends."""
    here, there = (AdaptiveLevel(0.9, 0.01, alpha=one).coverage for one in (alpha, alpha + 0.002))
    assert here >= there
    assert here - there <= 0.02
    assert 0.001 <= here <= WIDEST
    if alpha < 0.048:
        missed = 0.05 * 10 ** ((alpha - 0.05) / 0.02)
        assert here == pytest.approx(1 - max(missed, 1e-6), rel=1e-3)
