"""What each arm has answered: how often, in place of another, about nothing it was taught, which class."""

from __future__ import annotations

from collections import Counter

from deployments.store.records import PredictionRow
from features.targets import AnyTarget, ClassTarget


class AnswerCounts:
    """Of one router replica, since it started. An outlier lies farther out than all of the reference.

    Args:
        target: of the contract.

    Attributes:
        predictions: answers, by arm.
        outliers: those about outliers, by arm.
        fallbacks: those in place of another arm's, by arm.
        classes: by arm and predicted class, where classes are predicted.
    """

    def __init__(self, target: AnyTarget) -> None:
        self.predictions: Counter[str] = Counter()
        self.outliers: Counter[str] = Counter()
        self.fallbacks: Counter[str] = Counter()
        self.classes: Counter[tuple[str, str]] = Counter()
        self._class_member = target.name if isinstance(target, ClassTarget) else None

    def add(self, row: PredictionRow) -> None:
        """Count an answer."""
        arm = row.arm
        self.predictions[arm] += 1
        if row.outlier_score is not None and row.outlier_score >= 1:
            self.outliers[arm] += 1
        if row.fallback:
            self.fallbacks[arm] += 1
        # an answer that is not of its target is no concern of who counts
        if self._class_member is not None and (said := row.prediction.get(self._class_member)) is not None:
            self.classes[arm, said] += 1
