"""Prediction bands by split conformal prediction, normalised by a scale that varies along one variable.

Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free predictive inference for
regression", section 5.2 (locally weighted conformal); the finite-sample quantile is their equation 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

FloatArray = NDArray[np.float64]


class IntervalCalibration(BaseModel):
    """Half-widths in encoded target units as a function of the workload's `interval_scale` variable.

    Attributes:
        coverage: nominal share of truths inside the band.
        knots: increasing values of the variable.
        scales: typical absolute residual at each knot, linear in between, constant outside.
        scores: increasing quantile levels and the normalised residual at each, so that the level can move.
    """

    model_config = ConfigDict(frozen=True)

    coverage: float
    knots: tuple[float, ...]
    scales: tuple[float, ...]
    levels: tuple[float, ...]
    scores: tuple[float, ...]

    def half_width(self, variable: FloatArray, coverage: float | None = None) -> FloatArray:
        """(n,) -> (n,) half-width of the band at `coverage` (the nominal one by default)."""
        score = np.interp(self.coverage if coverage is None else coverage, self.levels, self.scores)
        return np.asarray(score * np.interp(variable, self.knots, self.scales))


def calibrate(
    variable: FloatArray, residual: FloatArray, coverage: float, bins: int = 12
) -> IntervalCalibration:
    """Fit the scale and the quantiles on held-out residuals (encoded units), each (n,)."""
    raise NotImplementedError
