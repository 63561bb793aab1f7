"""The level of regions follows the truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deployments.watching.levels import AdaptiveLevel, score_at, widening
from training.intervals import calibrate


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
        is_held = True if level.miss <= 0 else False if level.miss >= 1 else is_held
        misses.append(1 - is_held)
        level.update(float(is_held))
        assert -step <= level.miss <= 1 + step
        assert 0 < level.coverage < 1
    bound = (0.9 + step) / (step * len(held))
    assert abs(np.mean(misses) - 0.1) <= bound + 1e-9


def test_a_level_goes_on_from_where_it_was() -> None:
    level = AdaptiveLevel(0.9, 0.01)
    for held in (0.0, 1.0, 0.5):
        level.update(held)
    assert level.miss == pytest.approx(0.1 + 0.01 * (0.3 - 1.5))
    assert level.truths == 3
    assert AdaptiveLevel(0.9, 0.01, miss=level.miss).coverage == level.coverage


LEVELS, SCORES = (0.5, 0.9, 0.95, 0.995), (0.7, 1.6, 2.0, 3.0)


@pytest.mark.parametrize(
    ("coverage", "score"),
    [(0.1, 0.7), (0.7, 1.15), (0.95, 2.0), (0.995, 3.0), (0.9995, 4.0), (0.99995, 5.0), (1.0, 6.69897)],
)
def test_scores_go_on_beyond_the_last_level(coverage: float, score: float) -> None:
    assert score_at(LEVELS, SCORES, coverage) == pytest.approx(score)


def test_a_calibration_that_knows_no_tail_ends_at_its_last_level() -> None:
    assert score_at((0,), (0,), 0.99) == 0.0
    assert score_at((0.5, 0.9), (1.0, 2.0), 0.99) == 2.0


def test_regions_are_widened_by_the_ratio_of_scores() -> None:
    assert widening(LEVELS, SCORES, served=0.9, coverage=0.995) == pytest.approx(3.0 / 1.6)
    assert widening((0,), (0,), served=0.9, coverage=0.995) == 1.0
