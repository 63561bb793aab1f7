"""Whether a model errs more than it used to: ADWIN and Page-Hinkley of river over its losses.

The losses go in as means of batches, less noisy and more nearly normal than single ones, and in units of the
batch means of the bundle's first truths. So one setting fits metres and probabilities. Both detectors look
for a change; a rise alone is a drift.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import ConceptSettings

if TYPE_CHECKING:
    from river.drift import ADWIN, PageHinkley

# One wild batch alone must not do it.
_MOST_DEVIATIONS = 10.0
# It is over when less than this share of the rise is left.
_LEFT = 0.3


@dataclass
class Baseline:
    """What is normal for a bundle. Kept in the store, so that a Monitor that starts anew knows it.

    Attributes:
        mean, deviation: of batch means in the loss's own unit; the deviation is that of a sum of many, which
            is larger where batches resemble the one before.
        by: which detector has seen a rise that is not over; empty when none has.
        peak: the largest recent mean since then, in deviations.
    """

    mean: float
    deviation: float
    by: str = ""
    peak: float = 0.0


@dataclass
class LossDriftDetector:
    """One bundle of one arm.

    Args:
        settings: how sensitive.
        baseline: of this bundle, if it is known already.
    """

    settings: ConceptSettings
    baseline: Baseline | None = None
    _batch: list[float] = field(default_factory=list)
    _warmup: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=self.settings.settle_batches)
        self._detectors: tuple[ADWIN, PageHinkley] | None = None

    def add(self, loss: float) -> None:
        """Take the loss of one truth, >= 0; one that is not finite says nothing."""
        if not math.isfinite(loss):
            return
        self._batch.append(loss)
        if len(self._batch) < self.settings.batch:
            return
        mean = fmean(self._batch)
        self._batch.clear()
        if self.baseline is None:
            self._learn(mean)
        else:
            self._step(self.baseline, mean)

    def look(self) -> Finding:
        """1 from a detection until the loss is back."""
        if self.baseline is None:
            return Finding(None, "learning what is normal", {"batches": len(self._warmup)})
        baseline = self.baseline
        recent = fmean(self._recent) if self._recent else 0.0
        evidence = {
            "normal_loss": baseline.mean,
            "recent_loss": baseline.mean + recent * baseline.deviation,
            "rise_in_deviations": round(recent, 3),
            "by": baseline.by,
        }
        found = f", a rise found by {baseline.by}" if baseline.by else ""
        reason = f"mean loss {evidence['recent_loss']:.4g}, normal is {baseline.mean:.4g}{found}"
        return Finding(1.0 if baseline.by else 0.0, reason, evidence)

    def _learn(self, mean: float) -> None:
        self._warmup.append(mean)
        if len(self._warmup) == self.settings.warmup_batches:
            centre = fmean(self._warmup)
            deviation = stdev(self._warmup) * _inflation(self._warmup, centre)
            # losses that do not vary at all: any rise is one
            self.baseline = Baseline(centre, max(deviation, 1e-3 * abs(centre), 1e-12))
            self._warmup.clear()

    def _step(self, baseline: Baseline, mean: float) -> None:
        value = (mean - baseline.mean) / baseline.deviation
        value = min(max(value, -_MOST_DEVIATIONS), _MOST_DEVIATIONS)
        self._recent.append(value)
        adwin, page_hinkley = self._started(baseline)
        adwin.update(value)
        page_hinkley.update(value)
        rises = adwin.drift_detected and fmean(self._recent) > self._slack(baseline)
        if page_hinkley.drift_detected or rises:
            if not baseline.by:
                self._recent.clear()  # what was before tells nothing of when it is over
                self._recent.append(value)
            baseline.by = "Page-Hinkley" if page_hinkley.drift_detected else "ADWIN"
        if baseline.by:
            recent = fmean(self._recent)
            baseline.peak = max(baseline.peak, recent)
            noise = 2 / math.sqrt(self.settings.settle_batches)
            full = len(self._recent) == self.settings.settle_batches
            if full and recent < max(_LEFT * baseline.peak, noise):
                baseline.by, baseline.peak = "", 0.0
                self._detectors = None  # what they have seen is not normal

    def _slack(self, baseline: Baseline) -> float:
        return max(self.settings.slack, self.settings.least_rise * abs(baseline.mean) / baseline.deviation)

    def _started(self, baseline: Baseline) -> tuple[ADWIN, PageHinkley]:
        if self._detectors is None:
            from river.drift import ADWIN, PageHinkley  # it imports pandas and scipy

            settings = self.settings
            # without forgetting: with it the sum wanders by itself, far beyond any threshold
            page_hinkley = PageHinkley(
                min_instances=1,
                delta=self._slack(baseline),
                threshold=settings.threshold,
                alpha=1.0,
                mode="up",
            )
            self._detectors = (ADWIN(delta=settings.delta, clock=1), page_hinkley)
            # the normal times that the baseline tells of, which the detectors have not seen
            for detector in self._detectors:
                for value in (1.0, -1.0) * (settings.warmup_batches // 2):
                    detector.update(value)
        return self._detectors


def _inflation(means: list[float], centre: float) -> float:
    """How much more sums of such a series vary than of independent values, taken as autoregressive."""
    square = sum((one - centre) ** 2 for one in means)
    if not square:
        return 1.0
    lagged = sum((one - centre) * (other - centre) for one, other in pairwise(means))
    correlation = min(max(lagged / square, 0.0), 0.9)
    return math.sqrt((1 + correlation) / (1 - correlation))
