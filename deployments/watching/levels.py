"""Adaptive conformal inference: the level of an arm's regions moves with the truths that come in. Pure.

Source: Gibbs and Candes (2021), "Adaptive conformal inference under distribution shift", equation 2:
``alpha_{t+1} = alpha_t + gamma (alpha - err_t)``. Whatever the truths do, the mean of ``err_t`` over T of
them is within ``(max(alpha_1, 1 - alpha_1) + gamma) / (T gamma)`` of alpha (their proposition 4.1).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

# Scores of calibrations end at a level of 0.995. Beyond it their tail is taken to be exponential, as far as
# this.
_LEAST_MISS = 1e-6
_TAIL_FROM = 0.95


class AdaptiveLevel:
    """The level of one arm.

    >>> level = AdaptiveLevel(nominal=0.9, step=0.01)
    >>> level.update(held=0.0)
    >>> round(level.coverage, 6)
    0.909

    Args:
        nominal: share of truths that regions shall hold.
        step: gamma of the paper; larger follows faster and wavers more.
        miss: alpha_1; that of `nominal` unless told.
    """

    def __init__(self, nominal: float, step: float, miss: float | None = None) -> None:
        self.nominal = nominal
        self.miss = 1 - nominal if miss is None else miss
        self.truths = 0
        self._step = step

    @property
    def coverage(self) -> float:
        """The level at which to make regions now, in (0, 1)."""
        return 1 - min(max(self.miss, _LEAST_MISS), 1 - _LEAST_MISS)

    def update(self, held: float) -> None:
        """Take a truth: 1 if the region at `coverage` held it, 0 if not, a share for a path's circles."""
        self.truths += 1
        self.miss += self._step * ((1 - self.nominal) - (1 - held))


def score_at(levels: Sequence[float], scores: Sequence[float], coverage: float) -> float:
    """The score of a calibration at a level, also beyond the last that it has.

    Linear between levels, as `IntervalCalibration.half_width` has it; beyond the last one the score grows by
    as much for each tenth part of misses as it does from 0.95 to the last.

    Args:
        levels: increasing, in (0, 1).
        scores: of each, non-decreasing.
        coverage: in (0, 1).
    """
    last, highest = levels[-1], scores[-1]
    if coverage <= last or last <= _TAIL_FROM:
        return float(np.interp(coverage, levels, scores))
    at = min(bisect_right(levels, _TAIL_FROM) - 1, len(levels) - 2)
    decades = np.log10((1 - levels[at]) / (1 - last))
    slope = (highest - scores[at]) / decades
    return float(highest + slope * np.log10((1 - last) / max(1 - coverage, _LEAST_MISS)))


def widening(levels: Sequence[float], scores: Sequence[float], served: float, coverage: float) -> float:
    """By what a region that was served at one level is to be multiplied for another.

    Half-widths and radii are a score times a scale that does not depend on the level, see
    `training.intervals`.
    """
    base = score_at(levels, scores, served)
    return score_at(levels, scores, coverage) / base if base > 0 else 1.0
