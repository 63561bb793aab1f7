"""Density of the air up to orbits: the U.S. Standard Atmosphere 1976."""

from __future__ import annotations

from bisect import bisect_right
from math import exp

import numpy as np

# Altitude in km and density in kg/m3 (NOAA-S/T 76-1562, tables I and II).
_TABLE = (
    (0, 1.225),
    (5, 0.7364),
    (10, 0.4135),
    (15, 0.1948),
    (20, 8.891e-2),
    (25, 4.008e-2),
    (30, 1.841e-2),
    (35, 8.463e-3),
    (40, 3.996e-3),
    (45, 1.966e-3),
    (50, 1.027e-3),
    (55, 5.681e-4),
    (60, 3.097e-4),
    (65, 1.632e-4),
    (70, 8.283e-5),
    (75, 3.992e-5),
    (80, 1.846e-5),
    (85, 8.220e-6),
    (90, 3.416e-6),
    (100, 5.604e-7),
    (110, 9.708e-8),
    (120, 2.222e-8),
    (130, 8.152e-9),
    (150, 2.076e-9),
    (200, 2.541e-10),
    (300, 1.916e-11),
    (400, 2.803e-12),
    (500, 5.215e-13),
    (1000, 3.561e-15),
)
_ALTITUDES_M = tuple(1000.0 * altitude for altitude, _ in _TABLE)
_LOGS = tuple(float(np.log(density)) for _, density in _TABLE)
_SLOPES_PER_M = tuple(np.diff(_LOGS) / np.diff(_ALTITUDES_M))


def density_kgpm3(altitude_m: float) -> float:
    """Exponential between the entries of the table, whose layers its ends continue."""
    layer = min(max(bisect_right(_ALTITUDES_M, altitude_m) - 1, 0), len(_SLOPES_PER_M) - 1)
    return exp(_LOGS[layer] + _SLOPES_PER_M[layer] * (altitude_m - _ALTITUDES_M[layer]))
