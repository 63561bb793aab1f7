"""The concept drift detector: ADWIN and Page-Hinkley of river over the losses of a model.

The losses go in as means of batches, less noisy and more nearly normal than single ones, and in units of the
batch means of the bundle's first truths. So one setting fits metres and probabilities. Both find changes; a
rise alone is a drift.
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

# One wild batch alone must not be a drift.
_MOST_DEVIATIONS = 10.0
# A drift is over when less than this share of the rise is left.
_ENDED_SHARE = 0.3


@dataclass
class Baseline:
    """The normal loss of a bundle. It is stored, so that a restarted Monitor has it.

    Attributes:
        mean, deviation: of batch means in the loss's own unit; the deviation is that of a sum of many, which
            is larger where batches resemble the one before.
        by: the detector that found a rise which is not over; empty if none has.
        peak: the largest recent mean since then, in deviations.
    """

    mean: float
    deviation: float
    by: str = ""
    peak: float = 0.0


@dataclass
class LossDriftDetector:
    """A detector of rises in the loss of one bundle of one arm.

    Args:
        settings: how sensitive.
        baseline: of this bundle, if it is known.
    """

    settings: ConceptSettings
    baseline: Baseline | None = None
    _batch: list[float] = field(default_factory=list)
    _warmup: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=self.settings.settle_batches)
        self._detectors: tuple[ADWIN, PageHinkley] | None = None

    def add(self, loss: float) -> None:
        """Add the loss of one truth, >= 0; one that is not finite is left out."""
        if not math.isfinite(loss):
            return
        self._batch.append(loss)
        if len(self._batch) < self.settings.batch:
            return
        mean = fmean(self._batch)
        self._batch.clear()
        if self.baseline is None:
            self._add_to_baseline(mean)
        else:
            self._update(self.baseline, mean)

    def evaluate(self) -> Finding:
        """Return a score of 1 from the detection of a rise until the loss is back, and of 0 otherwise."""
        if self.baseline is None:
            return Finding(None, "the baseline is not complete", {"batches": len(self._warmup)})
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

    def _add_to_baseline(self, mean: float) -> None:
        self._warmup.append(mean)
        if len(self._warmup) == self.settings.warmup_batches:
            centre = fmean(self._warmup)
            deviation = stdev(self._warmup) * _inflation(self._warmup, centre)
            # losses that do not vary at all: any rise is one
            self.baseline = Baseline(centre, max(deviation, 1e-3 * abs(centre), 1e-12))
            self._warmup.clear()

    def _update(self, baseline: Baseline, mean: float) -> None:
        value = (mean - baseline.mean) / baseline.deviation
        value = min(max(value, -_MOST_DEVIATIONS), _MOST_DEVIATIONS)
        self._recent.append(value)
        adwin, page_hinkley = self._detectors_for(baseline)
        adwin.update(value)
        page_hinkley.update(value)
        rises = adwin.drift_detected and fmean(self._recent) > self._slack(baseline)
        if page_hinkley.drift_detected or rises:
            if not baseline.by:
                self._recent.clear()  # the means before it do not count towards its end
                self._recent.append(value)
            baseline.by = "Page-Hinkley" if page_hinkley.drift_detected else "ADWIN"
        if baseline.by:
            recent = fmean(self._recent)
            baseline.peak = max(baseline.peak, recent)
            noise = 2 / math.sqrt(self.settings.settle_batches)
            full = len(self._recent) == self.settings.settle_batches
            if full and recent < max(_ENDED_SHARE * baseline.peak, noise):
                baseline.by, baseline.peak = "", 0.0
                self._detectors = None  # their windows hold the drift

    def _slack(self, baseline: Baseline) -> float:
        return max(self.settings.slack, self.settings.least_rise * abs(baseline.mean) / baseline.deviation)

    def _detectors_for(self, baseline: Baseline) -> tuple[ADWIN, PageHinkley]:
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
            # the detectors have not seen the batches of the baseline
            for detector in self._detectors:
                for value in (1.0, -1.0) * (settings.warmup_batches // 2):
                    detector.update(value)
        return self._detectors


def _inflation(means: list[float], centre: float) -> float:
    """Return how much more sums of such a series vary than sums of independent values, by an AR(1) model."""
    square = sum((one - centre) ** 2 for one in means)
    if not square:
        return 1.0
    lagged = sum((one - centre) * (other - centre) for one, other in pairwise(means))
    correlation = min(max(lagged / square, 0.0), 0.9)
    return math.sqrt((1 + correlation) / (1 - correlation))
