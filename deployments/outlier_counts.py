"""How many requests each arm has answered, and how many of them were about nothing it was taught."""

from __future__ import annotations

from collections import Counter


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
