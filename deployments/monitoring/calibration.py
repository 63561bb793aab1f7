"""The calibration detector: a test of the coverage of an arm's regions against the nominal one. Pure.

A share is compared with a band: a deviation within the tolerance is accepted, however certain it is, since
no calibration is exact on new data; on top come standard errors of the binomial distribution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.measures import COMMON
from deployments.monitoring.settings import CalibrationSettings

FloatArray = NDArray[np.float64]


def evaluate(settings: CalibrationSettings, measured: FloatArray, window_s: float) -> Finding:
    """Compare the coverage of a window with the nominal one.

    Args:
        settings: the limits.
        measured: sums of `Measures`, of one arm over the window.
        window_s: its length.
    """
    truths, regions, inside, nominal, _ = measured[: len(COMMON)].tolist()
    if truths < settings.min_truths or not regions:
        return Finding(None, f"{truths:.0f} truths", {"truths": int(truths)})
    coverage, expected = inside / regions, nominal / regions
    # the regions of one path stand or fall together, so truths count and not regions
    score = float(calibration_score(settings, coverage, expected, truths))
    evidence = {
        "window_s": window_s,
        "truths": int(truths),
        "coverage": round(coverage, 4),
        "nominal": round(expected, 4),
    }
    return Finding(
        score, f"regions hold {coverage:.1%} of {truths:.0f} truths, nominal are {expected:.1%}", evidence
    )


def calibration_score(
    settings: CalibrationSettings,
    coverage: FloatArray | float,
    nominal: float,
    truths: FloatArray | float,
) -> FloatArray:
    """Return the deviation over the accepted one."""
    error = np.sqrt(nominal * (1 - nominal) / np.asarray(truths))
    return np.asarray(np.abs(coverage - nominal) / (settings.tolerance + settings.z * error))
