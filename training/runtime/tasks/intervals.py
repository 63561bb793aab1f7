"""Prediction bands by split conformal prediction, normalised by a scale that varies along one variable.

Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free predictive inference for
regression", section 5.2 (locally weighted conformal); the finite-sample quantile is their equation 4.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from training.runtime.tasks.base import Calibration

FloatArray = NDArray[np.float64]

_LEVELS = np.concatenate([np.arange(0.05, 0.95, 0.05), np.arange(0.95, 0.996, 0.005)]).round(3)
# Beyond the last level the tail of the scores is taken to be exponential, as far as this share of misses.
LEAST_MISS = 1e-6
_TAIL_FROM = 0.95
_SMALLEST_SCALE = 1e-9
# Near the usual coverage, so that the band fits where the shape of the errors changes along the variable.
_SCALE_LEVEL = 0.8
# The scale is fitted on the rows that the quantile is taken of: with fewer in a bin bands get too narrow.
_ROWS_PER_BIN = 40


class IntervalCalibration(Calibration):
    """Half-widths in encoded target units as a function of the workload's `interval_scale` variable.

    Attributes:
        coverage: nominal share of truths inside the band.
        knots: increasing values of the variable.
        scales: typical absolute residual at each knot, linear in between, constant outside.
        scores: increasing quantile levels and the normalised residual at each, so that the level can move.
    """

    model_config = ConfigDict(frozen=True)

    knots: tuple[float, ...]
    scales: tuple[float, ...]
    levels: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def unknown(cls, coverage: float) -> IntervalCalibration:
        """Bands without a width, of a model that is not calibrated yet."""
        return cls(coverage=coverage, knots=(0,), scales=(0,), levels=(0,), scores=(0,))

    def half_width(self, variable: FloatArray, coverage: float | None = None) -> FloatArray:
        """(n,) -> (n,) half-width of the band at `coverage` (the nominal one by default)."""
        score = score_at(self.levels, self.scores, self.coverage if coverage is None else coverage)
        return np.asarray(score * np.interp(variable, self.knots, self.scales))


def calibrate(
    variable: FloatArray,
    residual: FloatArray,
    coverage: float,
    bins: int = 12,
    group: NDArray[np.int64] | None = None,
) -> IntervalCalibration:
    """Fit the scale and the quantiles on held-out residuals (encoded units), each (n,).

    The scale at a knot is a quantile of the absolute residuals of the rows around it, a bin holding an equal
    share of the rows, 40 or more: of 188 rows 12 bins give bands that hold 88 % where 90 % are asked. Rows of
    one entity resemble each other: with their `group`, each entity counts alike, and the finite-sample
    correction is that of the number of entities, not of rows.

    Raises:
        ValueError: no rows, lengths that differ, or a coverage outside (0, 1).
    """
    _check(variable, residual, coverage)
    weight, _ = _weights(len(variable), group)
    size = np.abs(residual)
    knots, scales = _scale(variable, size, weight, max(min(bins, len(variable) // _ROWS_PER_BIN), 1))
    levels, scores = conformal_quantiles(size / np.interp(variable, knots, scales), coverage, group)
    return IntervalCalibration(
        coverage=coverage,
        knots=tuple(knots.tolist()),
        scales=tuple(scales.tolist()),
        levels=levels,
        scores=scores,
    )


def score_at(levels: Sequence[float], scores: Sequence[float], coverage: float) -> float:
    """Return the score of a calibration at a level, also beyond the last that it has.

    Linear between levels; beyond the last one the score grows by as much for each tenth part of misses as it
    does from 0.95 to the last.

    Args:
        levels: increasing, in (0, 1).
        scores: of each, non-decreasing.
        coverage: in (0, 1).
    """
    last, highest = levels[-1], scores[-1]
    if coverage > last > _TAIL_FROM:
        at = min(bisect_right(levels, _TAIL_FROM) - 1, len(levels) - 2)
        slope = (highest - scores[at]) / math.log10((1 - levels[at]) / (1 - last))
        return highest + slope * math.log10((1 - last) / max(1 - coverage, LEAST_MISS))
    # numpy would make arrays of both first, which takes longer than all the rest
    after = bisect_right(levels, coverage)
    if after in (0, len(levels)):
        return scores[max(after - 1, 0)]
    low, high = levels[after - 1], levels[after]
    return scores[after - 1] + (scores[after] - scores[after - 1]) / (high - low) * (coverage - low)


def widening(levels: Sequence[float], scores: Sequence[float], made_at: float, coverage: float) -> float:
    """Return the factor that takes a half-width from one level to another.

    It is a score times a scale that does not depend on the level.
    """
    base = score_at(levels, scores, made_at)
    return score_at(levels, scores, coverage) / base if base > 0 else 1.0


def conformal_quantiles(
    score: FloatArray, coverage: float, group: NDArray[np.int64] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Levels, `coverage` among them, and the score (n,) that so many new ones stay at or below.

    Each group counts alike, see `calibrate`.
    """
    weight, count = _weights(len(score), group)
    levels = np.unique(np.append(_LEVELS, coverage))
    # Lei et al. equation 4: the ceil((n + 1) level)-th smallest score
    corrected = np.minimum(levels * (count + 1) / count, 1.0)
    return tuple(levels.tolist()), tuple(_weighted_quantiles(score, weight, corrected).tolist())


def _weights(rows: int, group: NDArray[np.int64] | None) -> tuple[FloatArray, int]:
    """(n,) such that each group has the sum 1, and how many groups there are."""
    if group is None:
        return np.ones(rows), rows
    names, codes = np.unique(group, return_inverse=True)
    return 1 / np.bincount(codes)[codes], len(names)


def _check(variable: FloatArray, residual: FloatArray, coverage: float) -> None:
    if len(variable) != len(residual) or len(variable) == 0:
        raise ValueError(f"residual: got {len(residual)} rows for {len(variable)}, expected as many, not 0")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: got {coverage}, expected a share between 0 and 1")


def _scale(
    variable: FloatArray, size: FloatArray, weight: FloatArray, bins: int
) -> tuple[FloatArray, FloatArray]:
    """Knots, and the quantile of `size` around each; fewer knots where the variable repeats itself."""
    order = np.argsort(variable, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    number = np.minimum((share * bins).astype(int), bins - 1)
    half, most = np.array([0.5]), np.array([_SCALE_LEVEL])
    knots: list[float] = []
    scales: list[float] = []
    for part in (order[number == i] for i in range(bins)):
        if not len(part) or weight[part].sum() <= 0:
            continue
        knot = float(_weighted_quantiles(variable[part], weight[part], half)[0])
        if knots and knot <= knots[-1]:
            continue
        knots.append(knot)
        scales.append(max(float(_weighted_quantiles(size[part], weight[part], most)[0]), _SMALLEST_SCALE))
    return np.array(knots), np.array(scales)


def _weighted_quantiles(values: FloatArray, weight: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the smallest value at or below which at least each level of the weight lies."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(share, levels - 1e-12), len(values) - 1)
    return np.asarray(values[order][at])
