"""Counts of the answers of each arm: all, fallbacks, those about outliers, and each predicted class."""

from __future__ import annotations

from collections import Counter

from deployments.store.records import PredictionRecord
from features.targets import AnyTarget, ClassTarget


class AnswerCounts:
    """The counts of one router replica since it started. An outlier lies farther out than all the reference.

    Args:
        target: of the contract; classes are counted where it has any.

    Attributes:
        predictions: answers, by arm.
        outliers: answers about outliers, by arm; not those of probes.
        fallbacks: answers in place of another arm's, by arm.
        classes: answers, by arm and predicted class; not those of probes.
    """

    def __init__(self, target: AnyTarget) -> None:
        self.predictions: Counter[str] = Counter()
        self.outliers: Counter[str] = Counter()
        self.fallbacks: Counter[str] = Counter()
        self.classes: Counter[tuple[str, str]] = Counter()
        self._class_member = target.name if isinstance(target, ClassTarget) else None

    def add(self, record: PredictionRecord) -> None:
        """Count an answer."""
        arm = record.arm
        self.predictions[arm] += 1
        if record.fallback:
            self.fallbacks[arm] += 1
        if record.probe:
            return
        if record.outlier_score is not None and record.outlier_score >= 1:
            self.outliers[arm] += 1
        if self._class_member is None:
            return
        # counting does not check answers: one without the target's member is left out
        predicted = record.prediction.get(self._class_member)
        if predicted is not None:
            self.classes[arm, predicted] += 1
