"""Place and heading as waves, by which a model learns the routes of an area."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.geo import axes
from features.sphere import EARTH_RADIUS_M

FloatArray = NDArray[np.float64]

# What a radian of phase is, divided by normal numbers: so far in place, for so many waves each. The long ones
# tell areas and airways apart, the short ones where they turn.
_SCALES_M = np.repeat([120_000.0, 50_000.0], (48, 48))
WAVES = len(_SCALES_M)
# The same of heading: half a radian.
_HEADING = 2.0


def route_waves(place: FloatArray, course: FloatArray) -> FloatArray:
    """Cosines (n, `WAVES`) of random directions in the space of place and heading.

    Args:
        place: (n, 2) latitude and longitude in degrees.
        course: (n, 2) unit vectors, east and north.

    Source: Rahimi and Recht (2007), "Random features for large-scale kernel machines". In Earth-fixed axes,
    so that nothing happens at the poles or the antimeridian.
    """
    up, east, north = axes(place)
    heading = course[:, :1] * east + course[:, 1:] * north
    directions, phases = _waves()
    seen = np.concatenate([up, heading], axis=1)
    # sums of each row by itself: a matrix product depends on the batch
    return np.asarray(np.cos((seen[:, :, None] * directions).sum(axis=1) + phases))


@lru_cache(maxsize=1)
def _waves() -> tuple[FloatArray, FloatArray]:
    """Directions (6, `WAVES`) and phases; of numpy's legacy generator, whose numbers never change."""
    random = np.random.RandomState(1)
    directions = random.normal(size=(6, WAVES))
    directions[:3] *= EARTH_RADIUS_M / _SCALES_M
    directions[3:] *= _HEADING
    return directions, random.uniform(0, 2 * np.pi, WAVES)
