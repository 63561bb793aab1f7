"""Sums over a sliding window of time, kept by bucket and never by row. Pure.

Adding is the only operation, so a total does not depend on when it is read, and a Monitor that reads the same
journal again from the same place comes to the same sums, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Tier:
    """Buckets of one length, kept for a span of time.

    Attributes:
        bucket_s: the resolution.
        span_s: the longest window that can be summed.
    """

    bucket_s: float
    span_s: float


# A window of five minutes moves every ten seconds, one of a day every five minutes.
TIERS = (Tier(10.0, 3600.0), Tier(300.0, 86_400.0))


class Buckets:
    """Sums of vectors, by the time of the events that they describe.

    >>> sums = Buckets(1)
    >>> for at_s in (0.0, 400.0, 405.0):
    ...     sums.add(at_s, np.ones(1))
    >>> sums.total(405.0, 300.0), sums.total(405.0, 3600.0)
    (array([2.]), array([3.]))

    Args:
        width: length of the vectors.
        tiers: finest first; each row goes into all of them.
    """

    def __init__(self, width: int, tiers: Sequence[Tier] = TIERS) -> None:
        self._width = width
        self._tiers = tuple(tiers)
        self._sums: tuple[dict[int, FloatArray], ...] = tuple({} for _ in tiers)
        self._newest_s = -math.inf

    def add(self, at_s: float, values: FloatArray) -> None:
        """Add a row, (width,), of an event at that time; rows may come in any order."""
        newest_s = max(at_s, self._newest_s)
        for tier, sums in zip(self._tiers, self._sums, strict=True):
            at = int(at_s // tier.bucket_s)
            there = sums.get(at)
            if there is not None:
                there += values
            elif at >= _first(tier, newest_s, tier.span_s):
                sums[at] = np.array(values, dtype=np.float64)
                self._drop_old(tier, sums, newest_s)
        self._newest_s = newest_s

    def total(self, now_s: float, window_s: float) -> FloatArray:
        """Return the sum over the window that ends now, (width,); it begins where a bucket does.

        Raises:
            ValueError: no tier reaches back so far.
        """
        tier, sums = self._tier_for(window_s)
        first = _first(tier, now_s, window_s)
        last = int(now_s // tier.bucket_s)
        # in the order of time, not of arrival: sums of floats depend on it
        parts = [sums[at] for at in sorted(sums) if first <= at <= last]
        return np.sum(parts, axis=0) if parts else np.zeros(self._width)

    def since_s(self, now_s: float, window_s: float) -> float:
        """Return the begin of the window that ends now."""
        tier, _ = self._tier_for(window_s)
        return _first(tier, now_s, window_s) * tier.bucket_s

    def __len__(self) -> int:
        """Return the number of buckets of all tiers."""
        return sum(map(len, self._sums))

    def _tier_for(self, window_s: float) -> tuple[Tier, dict[int, FloatArray]]:
        for tier, sums in zip(self._tiers, self._sums, strict=True):
            if window_s <= tier.span_s:
                return tier, sums
        raise ValueError(f"window_s: got {window_s:g}, expected at most {self._tiers[-1].span_s:g}")

    def _drop_old(self, tier: Tier, sums: dict[int, FloatArray], newest_s: float) -> None:
        oldest = _first(tier, newest_s, tier.span_s)
        for at in [at for at in sums if at < oldest]:
            del sums[at]


def _first(tier: Tier, now_s: float, window_s: float) -> int:
    """Return the number of the first bucket of a window."""
    return int(now_s // tier.bucket_s) - max(round(window_s / tier.bucket_s), 1) + 1
