"""A family that never fits."""

from __future__ import annotations

from toy.family import FittedMean, ToyFamily

from training.fitting.data import Params, Report, Split


class BrokenFamily(ToyFamily):
    name = "broken"

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedMean:
        raise RuntimeError("no bread")


FAMILY = BrokenFamily()
