"""Splits of a dataset, by entity or by time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset

FloatArray = NDArray[np.float64]

# Blocks of time before the test part: long beside a window, and enough to calibrate on.
_BLOCKS = 120
_GOLDEN_RATIO = (1 + 5**0.5) / 2


@dataclass(frozen=True)
class Splits:
    """Train to fit, valid to choose, calibrate to set bands, test to report. Disjoint in groups."""

    train: Dataset
    valid: Dataset
    calibrate: Dataset
    test: Dataset


def split_by_group(dataset: Dataset, seed: int, shares: tuple[float, float, float, float]) -> Splits:
    """Split so that each entity is in one part only; `shares` sum to 1."""
    groups = np.random.default_rng(seed).permutation(np.unique(dataset.group))
    edges = np.round(np.cumsum(shares)[:3] * len(groups)).astype(int)
    parts = [dataset.take(np.flatnonzero(np.isin(dataset.group, part))) for part in np.split(groups, edges)]
    return Splits(*parts)


def split_by_time(
    dataset: Dataset,
    shares: tuple[float, float, float, float],
    blocks: int = _BLOCKS,
    axis: FloatArray | None = None,
) -> Splits:
    """Split so that test is the last `shares[3]` of the time axis, and all else comes before it.

    The time before is cut into blocks that are shared evenly among train, valid and calibrate, so that each
    of them sees every season. Nothing is drawn. A group is then a block of an entity: rows of one block
    resemble each other, rows of two blocks little.

    Args:
        dataset: of any order.
        shares: of train, valid, calibrate and test; they sum to 1.
        blocks: how many.
        axis: (n,) the place of each row on the time axis, if that is not its `end_s`.
    """
    place_s = dataset.end_s if axis is None else axis
    start_s, end_s = float(place_s.min()), float(place_s.max())
    test_s = end_s - shares[3] * (end_s - start_s)
    before = place_s < test_s
    block_s = (test_s - start_s) / blocks
    block = np.floor((place_s - start_s) / block_s).astype(np.int64)
    # multiples of the golden ratio, modulo 1, are evenly spread at every length of the sequence
    place = (block + 0.5) * _GOLDEN_RATIO % 1
    part = np.searchsorted(np.cumsum(shares)[:2] / sum(shares[:3]), place, side="right")
    part = np.where(before, part, 3)
    grouped = replace(dataset, group=dataset.group * (block.max() + 1) + block)
    return Splits(*(grouped.take(np.flatnonzero(part == number)) for number in range(4)))
