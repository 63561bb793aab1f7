"""Rolling metrics of one workload: per arm, over several windows, by the time of the prediction. Pure.

The outcome of a truth: the first of an id stands, and counts in the window of its prediction, however late
it is. One that takes longer than `late_after_s` is counted as late as well; one that was received before its
prediction was answered as early, with a lag of 0. A later truth of the same id changes no metric: it is
counted as repeated, or as conflicting where it differs, by the time at which it was received.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.buckets import Buckets
from deployments.monitoring.measures import COMMON, Measures
from deployments.monitoring.values import LAG_EDGES_S, NumberBins, predicted_number
from deployments.monitoring.view import ArmWindow, LagBin, TruthCounts, ValueBin
from deployments.store.monitored import MonitoredPrediction, MonitoredRepeat, MonitoredTruth
from features.targets import AnyTarget
from training.runtime.tasks.base import ArmAnswer

FloatArray = NDArray[np.float64]

_BINS = NumberBins()
# Of a prediction: answers, by fallback, scored, outliers, sum of the values; then the histogram.
_ANSWERS, _FALLBACKS, _SCORED, _OUTLIERS, _VALUES = range(5)
_HISTOGRAM = 5
# Of a truth, before the measures: sum of lags, late, early; then the lag histogram.
_LAG_S, _LATE, _EARLY = range(3)
_LAGS = 3
_MEASURES = _LAGS + len(LAG_EDGES_S) + 1

COUNTS = ("repeated", "conflicting")


class ArmSums:
    """The sums of one arm."""

    def __init__(self, measures: Measures) -> None:
        self.answers = Buckets(_HISTOGRAM + _BINS.width)
        self.truths = Buckets(_MEASURES + len(measures.names))


class RollingMetrics:
    """The rolling metrics of all arms of a workload.

    Args:
        target: of the contract.
        measures: the sums over pairs of prediction and truth.
        late_after_s: a truth that comes later than this after its prediction is late.
    """

    def __init__(self, target: AnyTarget, measures: Measures, late_after_s: float) -> None:
        self._target = target
        self._measures = measures
        self._late_after_s = late_after_s
        self._arms: dict[str, ArmSums] = {}
        self._repeats = Buckets(len(COUNTS))

    @property
    def arms(self) -> list[str]:
        """The arms that have answered, by name."""
        return sorted(self._arms)

    def add_prediction(self, row: MonitoredPrediction) -> None:
        """Add an answer."""
        sums = np.zeros(_HISTOGRAM + _BINS.width)
        sums[_ANSWERS] = 1.0
        sums[_FALLBACKS] = row.fallback
        if row.outlier_score is not None:
            sums[_SCORED] = 1.0
            sums[_OUTLIERS] = row.outlier_score >= 1
        # a journal may reach back to a contract with another target
        with suppress(KeyError, ValueError, TypeError, IndexError):
            value = predicted_number(self._target, row.prediction)
            sums[_VALUES] = value
            sums[_HISTOGRAM + _BINS.index(value)] = 1.0
        self._sums_for(row.arm).answers.add(row.created_at.timestamp(), sums)

    def add_truth(self, row: MonitoredTruth, answer: ArmAnswer, truth: FloatArray) -> FloatArray | None:
        """Add a pair, and return what it adds to the measures; None when no part of the truth is known.

        Raises:
            KeyError, ValueError, TypeError, IndexError: the answer is not one of this target.
        """
        measured = self._measures.sums(answer, truth)
        if measured is None:
            return None
        sums = np.zeros(_MEASURES + len(measured))
        lag_s = (row.received_at - row.created_at).total_seconds()
        sums[_EARLY] = lag_s < 0
        sums[_LATE] = lag_s > self._late_after_s
        lag_s = max(lag_s, 0.0)
        sums[_LAG_S] = lag_s
        sums[_LAGS + bisect_left(LAG_EDGES_S, lag_s)] = 1.0
        sums[_MEASURES:] = measured
        self._sums_for(row.arm).truths.add(row.created_at.timestamp(), sums)
        return measured

    def add_repeat(self, row: MonitoredRepeat) -> None:
        """Add a truth after the first of its id."""
        counted = np.array([not row.conflicts, row.conflicts], dtype=np.float64)
        self._repeats.add(row.received_at.timestamp(), counted)

    def window(self, arm: str, now: datetime, window_s: float) -> ArmWindow:
        """Return the metrics of an arm over the window that ends now."""
        now_s = now.timestamp()
        answers = self._sums_for(arm).answers.total(now_s, window_s)
        truths = self._sums_for(arm).truths.total(now_s, window_s)
        measured = truths[_MEASURES:]
        predictions, labelled = answers[_ANSWERS], measured[COMMON.index("truths")]
        histogram = answers[_HISTOGRAM:]
        return ArmWindow(
            predictions=int(predictions),
            truths=int(labelled),
            truth_share=_share(labelled, predictions),
            metrics=self._measures.metrics(measured),
            mean_prediction=_share(answers[_VALUES], histogram.sum()),
            histogram=[ValueBin.model_validate(one) for one in _BINS.table(histogram)],
            fallback_share=_share(answers[_FALLBACKS], predictions),
            outlier_share=_share(answers[_OUTLIERS], answers[_SCORED]),
            mean_lag_s=_share(truths[_LAG_S], labelled),
            lag=_lags(truths[_LAGS:_MEASURES].tolist()),
        )

    def truth_counts(self, now: datetime, window_s: float) -> TruthCounts:
        """Return the outcomes of the truths of the window that ends now, for all arms."""
        now_s = now.timestamp()
        totals = [arm.truths.total(now_s, window_s) for arm in self._arms.values()]
        total = np.sum(totals, axis=0) if totals else np.zeros(_MEASURES + 1)
        repeated, conflicting = self._repeats.total(now_s, window_s).tolist()
        return TruthCounts(
            joined=int(total[_MEASURES]),
            late=int(total[_LATE]),
            early=int(total[_EARLY]),
            repeated=int(repeated),
            conflicting=int(conflicting),
        )

    def _sums_for(self, arm: str) -> ArmSums:
        sums = self._arms.get(arm)
        if sums is None:
            sums = self._arms[arm] = ArmSums(self._measures)
        return sums


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _lags(counts: Sequence[float]) -> list[LagBin]:
    edges = (*LAG_EDGES_S, None)
    return [
        LagBin(up_to_s=edge, count=int(count)) for edge, count in zip(edges, counts, strict=True) if count
    ]
