"""Local frames on the sphere: places as metres east and north of an origin, and back.

The frame is the azimuthal equidistant projection (Snyder 1987, "Map projections, a working manual", USGS
Professional Paper 1395, chapter 25): a straight line through the origin is a great circle, and lengths on it
are true. It needs no care at the poles or the antimeridian.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.sphere import EARTH_RADIUS_M

FloatArray = NDArray[np.float64]


def local_m(origin: FloatArray, place: FloatArray) -> FloatArray:
    """Metres east and north (..., 2) of `origin` at which `place` lies.

    Args:
        origin, place: (..., 2) latitude and longitude in degrees, broadcast against each other.

    The distance is by Vincenty (1975), "Direct and inverse solutions of geodesics on the ellipsoid", for a
    sphere; differences of angles are taken first, so that a metre keeps its digits.
    """
    (lat1, lon1), (lat2, lon2) = (np.moveaxis(np.radians(p), -1, 0) for p in (origin, place))
    east = np.cos(lat2) * np.sin(lon2 - lon1)
    north = np.sin(lat2 - lat1) + 2 * np.sin(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    across = np.hypot(east, north)
    angle = np.arctan2(
        across, np.sin(lat1) * np.sin(lat2) + np.cos(lat1) * np.cos(lat2) * np.cos(lon2 - lon1)
    )
    # angle / sin(angle) -> 1 at the origin
    stretch = np.where(across > 0, angle / np.where(across > 0, across, 1.0), 1.0)
    return np.stack([east * stretch, north * stretch], axis=-1) * EARTH_RADIUS_M


def from_local(origin: FloatArray, local: FloatArray) -> FloatArray:
    """Latitude in [-90, 90] and longitude in [-180, 180) (..., 2) of metres east and north of `origin`.

    Inverse of `local_m`: the end of the great circle that leaves at the bearing and has the length.
    """
    lat, lon = np.moveaxis(np.radians(origin), -1, 0)
    length = np.hypot(local[..., 0], local[..., 1])
    angle = length / EARTH_RADIUS_M
    safe = np.where(length > 0, length, 1.0)
    east = np.sin(angle) * local[..., 0] / safe
    north = np.sin(angle) * local[..., 1] / safe
    # Earth-fixed axes, turned so that the origin is on the meridian of x
    x = np.cos(angle) * np.cos(lat) - north * np.sin(lat)
    z = np.cos(angle) * np.sin(lat) + north * np.cos(lat)
    latitude = np.degrees(np.arctan2(z, np.hypot(x, east)))
    longitude = wrapped_deg(np.degrees(lon + np.arctan2(east, x)))
    return np.stack(np.broadcast_arrays(latitude, longitude), axis=-1)


def wrapped_deg(longitude: FloatArray) -> FloatArray:
    """Return the longitude in [-180, 180); one that is there already keeps all its digits."""
    inside = (longitude >= -180) & (longitude < 180)
    return np.where(inside, longitude, (longitude + 180) % 360 - 180)


def axes(place: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return unit vectors (..., 3) up, east and north at places (..., 2), in Earth-fixed axes (ECEF)."""
    lat, lon = np.moveaxis(np.radians(place), -1, 0)
    zero = np.zeros_like(lat)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], axis=-1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    return up, east, north


def rotated(vector: FloatArray, course: FloatArray) -> FloatArray:
    """East and north (..., 2) -> along and to the left of `course`, unit vectors (..., 2) east and north.

    `unrotated` is its inverse.
    """
    east, north = np.moveaxis(vector, -1, 0)
    course_east, course_north = np.moveaxis(course, -1, 0)
    along = east * course_east + north * course_north
    return np.stack([along, north * course_east - east * course_north], axis=-1)


def unrotated(vector: FloatArray, course: FloatArray) -> FloatArray:
    """Along and to the left of `course` (..., 2) -> east and north."""
    along, left = np.moveaxis(vector, -1, 0)
    course_east, course_north = np.moveaxis(course, -1, 0)
    return np.stack(
        [along * course_east - left * course_north, along * course_north + left * course_east], axis=-1
    )
