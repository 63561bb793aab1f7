"""Places on the sphere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# The mean radius of the Earth (IUGG): great circles are off by at most 0.5 % of those on the ellipsoid.
EARTH_RADIUS_M = 6_371_008.8


def great_circle_m(one: FloatArray, other: FloatArray) -> FloatArray:
    """Distance in m between places (..., 2) of latitude and longitude in degrees, by the haversine formula.

    Source: Sinnott (1984), "Virtues of the haversine", Sky and Telescope 68.
    """
    (lat1, lon1), (lat2, lon2) = (np.moveaxis(np.radians(place), -1, 0) for place in (one, other))
    half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def mean_position(positions: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Return the weighted mean of places (..., 3), latitude, longitude and altitude, on the sphere."""
    stacked = np.stack(positions)
    lat, lon = np.radians(stacked[..., 0]), np.radians(stacked[..., 1])
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    x, y, z = np.moveaxis(np.tensordot(weights, vectors, axes=1), -1, 0)
    altitude = np.tensordot(weights, stacked[..., 2], axes=1)
    return np.stack(
        [np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)), altitude], axis=-1
    )
