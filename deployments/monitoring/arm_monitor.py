"""The monitor of one arm: the drift of its loss, and the level at which its regions hold their truths.

Both belong to a bundle, so a new version begins anew. State that may reach back farther than the journal is
read goes into the store as `ArmMemory`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring import calibration
from deployments.monitoring.buckets import TIERS, Buckets
from deployments.monitoring.concept import Baseline, LossDriftDetector
from deployments.monitoring.coverage_at_level import coverage_at_level
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.levels import AdaptiveLevel
from deployments.monitoring.measures import COMMON
from deployments.monitoring.settings import MonitoringSettings
from deployments.monitoring.view import LevelState
from training.runtime.tasks.base import ArmAnswer, Calibration, Task

FloatArray = NDArray[np.float64]

_REGIONS, _INSIDE = COMMON.index("regions"), COMMON.index("inside")


@dataclass(frozen=True)
class ServedBundle:
    """The bundle that an arm serves. An ensemble has no calibration."""

    bundle: str
    calibration: Calibration | None


@dataclass(frozen=True)
class ArmMemory:
    """The state of an arm that a restarted Monitor resumes from; `miss` is `AdaptiveLevel.alpha`."""

    bundle: str
    baseline: dict[str, Any] | None
    miss: float | None
    truths: int


class ArmMonitor:
    """The monitor of one arm with one bundle."""

    def __init__(
        self, served: ServedBundle, task: Task, settings: MonitoringSettings, memory: ArmMemory | None = None
    ) -> None:
        known = memory if memory is not None and memory.bundle == served.bundle else None
        baseline = Baseline(**known.baseline) if known and known.baseline else None
        self.served = served
        self.drift = LossDriftDetector(settings.concept, baseline)
        self._task = task
        self._settings = settings
        self._at_nominal = Buckets(len(COMMON), TIERS[:1])
        self._level: AdaptiveLevel | None = None
        if served.calibration is not None:
            nominal = served.calibration.coverage
            self._level = AdaptiveLevel(nominal, settings.level_step, known.miss if known else None)
            self._level.truths = known.truths if known else 0

    def count_truth(self, at_s: float, answer: ArmAnswer, truth: FloatArray, measured: FloatArray) -> None:
        """Count a truth of this bundle, known or new, towards the coverage at the nominal level.

        Served regions hold what they should because their level moves; whether the bundle's own calibration
        is still right shows in the regions that it would have made. An ensemble counts as it is served.

        Args:
            at_s: time of the answer.
            answer: as it was served.
            truth: of it.
            measured: what the pair adds to `Measures`.
        """
        sums = measured[: len(COMMON)].copy()
        if self.served.calibration is not None and answer.level is not None:
            covered = coverage_at_level(answer.coverage, self._task, self.served.calibration, answer, truth)
            sums[_INSIDE] = (covered or 0.0) * sums[_REGIONS]
        self._at_nominal.add(at_s, sums)

    def evaluate_calibration(self, now_s: float, window_s: float) -> Finding:
        """Compare the bundle's coverage over the window that ends now with the nominal one."""
        sums = self._at_nominal.total(now_s, window_s)
        return calibration.evaluate(self._settings.calibration, sums, window_s)

    def learn(self, answer: ArmAnswer, truth: FloatArray) -> None:
        """Update the loss drift detector and the adaptive level by a truth of this bundle."""
        self.drift.add(self._task.error(answer, truth))
        if self._level is None or self.served.calibration is None:
            return
        covered = coverage_at_level(self._level.coverage, self._task, self.served.calibration, answer, truth)
        if covered is not None:
            self._level.update(covered)

    def memory(self) -> ArmMemory:
        """Return the state to be stored."""
        baseline = asdict(self.drift.baseline) if self.drift.baseline else None
        level = self._level
        return ArmMemory(
            self.served.bundle, baseline, level.alpha if level else None, level.truths if level else 0
        )

    @property
    def level(self) -> LevelState | None:
        """The adaptive level for the page; None for an ensemble."""
        if self._level is None:
            return None
        return LevelState(
            nominal=self._level.nominal,
            level=self._level.coverage,
            served=self._settings.serve_levels,
            truths=self._level.truths,
        )
