"""How many requests each arm has answered, and how many of them were about nothing it was taught."""

from __future__ import annotations

from collections import Counter
from typing import Protocol


class OutlierCounts:
    """Of one router replica, since it started. An outlier lies farther out than all of the reference.

    Attributes:
        predictions: answers, by arm.
        outliers: those about outliers, by arm.
    """

    def __init__(self) -> None:
        self.predictions: Counter[str] = Counter()
        self.outliers: Counter[str] = Counter()

    def add(self, arm: str, outlier_score: float | None) -> None:
        """Count an answer."""
        self.predictions[arm] += 1
        if outlier_score is not None and outlier_score >= 1:
            self.outliers[arm] += 1


class MetricCounter(Protocol):
    """A counter of a metrics library, for example `ray.util.metrics.Counter`."""

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Count so many more under these tags."""
        ...


class CountsExport:
    """Hands what was counted since the last time to counters: once in a while, not with each request."""

    def __init__(
        self, workload: str, counts: OutlierCounts, predictions: MetricCounter, outliers: MetricCounter
    ) -> None:
        self._workload = workload
        self._parts = (
            (counts.predictions, predictions, Counter[str]()),
            (counts.outliers, outliers, Counter[str]()),
        )

    def export(self) -> None:
        """Bring the counters up to date."""
        for counted, metric, told in self._parts:
            for arm, count in list(counted.items()):
                if count > told[arm]:
                    metric.inc(count - told[arm], {"workload": self._workload, "arm": arm})
                    told[arm] = count
