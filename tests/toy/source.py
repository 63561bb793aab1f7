"""Rectangles, eight measurements of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from features.contract import Contract
from training.sources.base import Mapper, Progress

_MEASUREMENTS = 8


@dataclass(frozen=True)
class ToySource:
    things: int
    seed: int
    revision: str = "1"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        batches: Sequence[range] = [range(i, i + 40) for i in range(0, self.things, 40)]
        return pd.concat(mapper(partial(_measure, self.seed), batches, progress), ignore_index=True)


def make_source(contract: Contract, things: int, seed: int) -> ToySource:
    return ToySource(things, seed)


def _measure(seed: int, things: range) -> pd.DataFrame:
    tables = []
    for thing in things:
        generator = np.random.default_rng([seed, thing])
        length, width = generator.uniform(1, 9, 2)
        error = generator.normal(scale=0.05, size=(3, _MEASUREMENTS))
        tables.append(
            pd.DataFrame(
                {
                    "thing": str(thing),
                    "length_m": length + error[0],
                    "width_m": width + error[1],
                    "noise": error[2],
                    "area_m2": length * width,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
