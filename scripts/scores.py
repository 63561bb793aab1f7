"""How good predictions are whose truths came one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.marks import Predictions, TimedPrediction
from training.evaluation import point_metrics


@dataclass(frozen=True)
class Score:
    """Errors of predictions with a known truth; NaN where there are none.

    Attributes:
        count: how many there are.
        errors: by name, of `training.evaluation.point_metrics`.
        inside: truths inside their bands, of the `banded` ones that have a band.
    """

    count: int
    errors: dict[str, float]
    inside: int
    banded: int

    def error(self, metric: str) -> float:
        """Of this name."""
        return self.errors.get(metric, math.nan)


def score_of(said: Iterable[TimedPrediction], metric: str) -> Score:
    """The score of one arm's predictions, with this metric among its errors."""
    known = [p for p in said if math.isfinite(p.truth)]
    if not known:
        return Score(0, {}, 0, 0)
    truth, value = np.array([p.truth for p in known]), np.array([p.value for p in known])
    banded = [p for p in known if math.isfinite(p.lower)]
    inside = sum(p.lower <= p.truth <= p.upper for p in banded)
    return Score(len(known), point_metrics(truth, value, metric), inside, len(banded))


def said_by(predictions: Predictions, name: str) -> list[TimedPrediction]:
    """All that one arm or baseline said."""
    return [p for by_name in predictions.values() for p in by_name.get(name, ())]


def names_in(predictions: Predictions) -> list[str]:
    """Arms and baselines, in their order."""
    return list(dict.fromkeys(name for by_name in predictions.values() for name in by_name))


def best_by(predictions: Predictions, arms: Sequence[str], metric: str) -> str:
    """The arm with the lowest error; one without an answer comes last."""

    def error(arm: str) -> float:
        found = score_of(said_by(predictions, arm), metric).error(metric)
        return math.inf if math.isnan(found) else found

    return min(arms, key=error)
