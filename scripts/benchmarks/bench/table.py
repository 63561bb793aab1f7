"""The table of the benchmark: 16 uniform numbers and Friedman's first function of five of them.

J. H. Friedman 1991, "Multivariate Adaptive Regression Splines", The Annals of Statistics 19(1), equation 61.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract

if TYPE_CHECKING:
    import pandas as pd

    from training.sources.base import Mapper, Progress

FloatArray = NDArray[np.float64]

NAMES = tuple(f"x{number:02d}" for number in range(1, 17))


class TableWorkload:
    """The `features.workload.Workload` of the benchmark: a model sees the numbers as they came."""

    feature_names = NAMES
    anchor_names = ("x01",)

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, 16) -> (n, 16)."""
        return np.asarray(raw, dtype=np.float64)

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Models learn the number itself."""
        return target

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Decode the target: the inverse of `encode_target`."""
        return encoded

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """Noise is the same everywhere."""
        return np.ones(len(anchors))

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """Return no baselines: this is about speed."""
        return {}


@dataclass(frozen=True)
class Rows:
    """`rows` drawn rows, with noise of standard deviation 1."""

    rows: int
    seed: int
    revision: str = "1"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return a column for each number, `row` and `y`."""
        import pandas as pd  # here: what serves the models does not need it

        rng = np.random.default_rng(self.seed)
        x = rng.random((self.rows, len(NAMES)))
        table = pd.DataFrame(x, columns=list(NAMES))
        table["y"] = friedman(x) + rng.normal(size=self.rows)
        table["row"] = [str(row) for row in range(self.rows)]
        return table


def make_source(contract: Contract, rows: int, seed: int) -> Rows:
    """Make the source, from the options in the YAML file."""
    return Rows(rows, seed)


def friedman(x: FloatArray) -> FloatArray:
    """(n, 5 or more) -> (n,)."""
    waves = 10 * np.sin(np.pi * x[:, 0] * x[:, 1])
    return np.asarray(waves + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4])


def instances(count: int, seed: int) -> FloatArray:
    """Rows to ask about, (count, 16), of three digits as people would send them."""
    return np.round(np.random.default_rng(seed).random((count, len(NAMES))), 3)


WORKLOAD = TableWorkload()
