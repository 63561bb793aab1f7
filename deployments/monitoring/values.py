"""Histograms whose bins are fixed before any value is seen, so that they can be summed. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.targets import ALTITUDE, AnyTarget, ClassTarget, PathTarget

FloatArray = NDArray[np.float64]

LAG_EDGES_S = (1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)

_BINS_A_DECADE = 10
_LOWEST_DECADE, _HIGHEST_DECADE = -2, 7
_SIDE = (_HIGHEST_DECADE - _LOWEST_DECADE) * _BINS_A_DECADE


class NumberBins:
    """Ten bins a decade, as fine for kilometres as for metres: [1, 1.26), [1.26, 1.58) and so on.

    Values nearer to 0 than 0.01 are in one bin around it, values beyond 1e7 in the outermost ones.
    """

    width = 2 * _SIDE + 1

    def index(self, value: float) -> int:
        """Return the bin of a finite value, in [0, width), increasing with the value."""
        size = abs(value)
        if size < 10.0**_LOWEST_DECADE:
            return _SIDE
        # the logarithm of an edge may be rounded to below it
        steps = math.floor(_BINS_A_DECADE * (math.log10(size) - _LOWEST_DECADE) + 1e-9)
        steps = min(max(steps, 0), _SIDE - 1)
        return _SIDE + 1 + steps if value > 0 else _SIDE - 1 - steps

    def edges(self, index: int) -> tuple[float, float]:
        """Return the ends of a bin."""
        if index == _SIDE:
            return -(10.0**_LOWEST_DECADE), 10.0**_LOWEST_DECADE
        steps = index - _SIDE - 1 if index > _SIDE else _SIDE - 1 - index
        ends = [10.0 ** (_LOWEST_DECADE + (steps + i) / _BINS_A_DECADE) for i in (0, 1)]
        return (ends[0], ends[1]) if index > _SIDE else (-ends[1], -ends[0])

    def table(self, counts: FloatArray) -> list[dict[str, float]]:
        """Return the bins with a count above 0, smallest first."""
        found = []
        for index in np.flatnonzero(counts).tolist():
            lower, upper = self.edges(index)
            found.append({"from": float(f"{lower:.4g}"), "to": float(f"{upper:.4g}"), "count": counts[index]})
        return found


def predicted_number(target: AnyTarget, prediction: Mapping[str, Any]) -> float:
    """Return the number that stands for a prediction in means and histograms.

    A class's is the probability of the positive one, a path's the altitude in m at its end.
    """
    if isinstance(target, ClassTarget):
        return float(prediction["probabilities"][target.positive])
    if isinstance(target, PathTarget):
        return float(prediction[target.name][-1][ALTITUDE])
    return float(prediction[target.name])
