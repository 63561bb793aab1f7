"""Scaled rows that a family learns from, and what it reports on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.runtime.tasks.base import Kind

Params = Mapping[str, Any]


# report(step, validation loss): raises nothing, may stop the trial from outside
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Split:
    """Scaled rows that a family learns from or is evaluated on.

    Attributes:
        x: (n, features) or (n, steps, features) float32, scaled.
        y: (n, outputs) float32. Numbers: the scaled encoded target, NaN where it is not known. Classes:
            1 in the column of the row's class, 0 in the others.
        weight: (n,) float32, mean 1.
        kind: what the outputs are.
        groups: columns of `y` that are the sides of one distance, in one scale; the others stand alone.
        features: names of the last axis of `x`, where they are known.

    Raises:
        ValueError: `y` is not a table of as many rows as `x`.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]
    kind: Kind = "numbers"
    groups: tuple[tuple[int, ...], ...] = ()
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.y.ndim != 2 or len(self.y) != len(self.x):
            raise ValueError(f"y: got the shape {self.y.shape}, expected ({len(self.x)}, outputs)")

    def known(self) -> Split:
        """Return the rows of which every output is known."""
        rows = ~np.isnan(self.y).any(axis=1)
        if rows.all():
            return self
        return replace(self, x=self.x[rows], y=self.y[rows], weight=self.weight[rows])
