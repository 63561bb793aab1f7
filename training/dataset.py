"""From telemetry records to the table that families learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Dataset:
    """Windows (or rows) of many entities as features, unscaled.

    Attributes:
        features: (n, features).
        target: (n,) in target units.
        weight: (n,), mean 1.
        group: (n,) int, the entity of each row; splits never cut one.
        raw: (n, *raw_shape) float32 raw instances, for golden inputs and the drift reference.
        data_hash: sha256 of the records that this was made from.
    """

    features: FloatArray
    target: FloatArray
    weight: FloatArray
    group: NDArray[np.int64]
    raw: NDArray[np.float32]
    data_hash: str

    def take(self, rows: NDArray[np.int64]) -> Dataset:
        """The same, of these rows only."""
        return Dataset(
            self.features[rows], self.target[rows], self.weight[rows], self.group[rows], self.raw[rows], self.data_hash
        )


@dataclass(frozen=True)
class Splits:
    """Train to fit, valid to choose, calibrate to set bands, test to report. Disjoint in entities."""

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
