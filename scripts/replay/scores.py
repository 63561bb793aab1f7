"""Scores of predictions whose truths came one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.targets import AnyTarget
from scripts.replay.horizon_errors import Predictions, TimedPrediction
from scripts.replay.text_tables import share
from training.pipeline.evaluation import point_metrics, point_name, region_metrics
from training.runtime.tasks.base import Predicted


@dataclass(frozen=True)
class Score:
    """Errors of predictions with a known truth; NaN where there are none.

    Attributes:
        count: how many there are.
        errors: by name, of `training.pipeline.evaluation.point_metrics`.
        coverage: share of truths inside their regions; NaN where there are no regions.
        banded: predictions that have a region.
    """

    count: int
    errors: dict[str, float]
    coverage: float
    banded: int

    @property
    def covered(self) -> str:
        """The coverage for people."""
        return share(round(self.coverage * self.banded), self.banded) if self.banded else "-"

    def error(self, metric: str) -> float:
        """Return the error of this name."""
        return self.errors.get(metric, math.nan)


def score_predictions(answers: Iterable[TimedPrediction], target: AnyTarget) -> Score:
    """Score one arm's predictions."""
    known = [one for one in answers if one.known]
    if not known:
        return Score(0, {}, math.nan, 0)
    truth = np.stack([one.target for one in known])
    point = point_name(target)
    errors = point_metrics(target, truth, np.stack([one.arrays[point] for one in known]))
    rows = [number for number, one in enumerate(known) if len(one.arrays) > 1]
    if not rows:
        return Score(len(known), errors, math.nan, 0)
    regions = {name: np.stack([known[row].arrays[name] for row in rows]) for name in known[rows[0]].arrays}
    coverage = region_metrics(target, truth[rows], Predicted(regions))["coverage"]
    return Score(len(known), errors, coverage, len(rows))


def answers_by(predictions: Predictions, name: str) -> list[TimedPrediction]:
    """Return all answers of an arm or a baseline."""
    return [p for by_name in predictions.values() for p in by_name.get(name, ())]


def names_in(predictions: Predictions) -> list[str]:
    """Arms and baselines, in their order."""
    return list(dict.fromkeys(name for by_name in predictions.values() for name in by_name))


def best_by(predictions: Predictions, arms: Sequence[str], target: AnyTarget) -> str:
    """Return the arm that is best by the target's metric; one without an answer comes last."""

    def error(arm: str) -> float:
        found = score_predictions(answers_by(predictions, arm), target).error(target.metric)
        return math.inf if math.isnan(found) else -found if target.higher_is_better else found

    return min(arms, key=error)
