"""What is learnt about each arm from its truths: whether its loss rises, and at which level its regions hold.

Both belong to a bundle, so a new version begins anew. What cannot be read again from the journal, since it
may reach back farther than is read, goes into the store as `ArmMemory`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.watching.concept import Baseline, LossDrift
from deployments.watching.held import held_at
from deployments.watching.levels import AdaptiveLevel
from deployments.watching.page import LevelState
from deployments.watching.settings import MonitoringSettings
from training.tasks.base import Calibration, Row, Task

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Served:
    """What an arm serves. An ensemble has no calibration."""

    bundle: str
    calibration: Calibration | None


@dataclass(frozen=True)
class ArmMemory:
    """What a Monitor that starts anew goes on with."""

    bundle: str
    baseline: dict[str, Any] | None
    miss: float | None
    truths: int


class ArmWatch:
    """One arm with one bundle."""

    def __init__(
        self, served: Served, task: Task, settings: MonitoringSettings, memory: ArmMemory | None = None
    ) -> None:
        known = memory if memory is not None and memory.bundle == served.bundle else None
        baseline = Baseline(**known.baseline) if known and known.baseline else None
        self.served = served
        self.drift = LossDrift(settings.concept, baseline)
        self._task = task
        self._level: AdaptiveLevel | None = None
        if served.calibration is not None:
            nominal = served.calibration.coverage
            self._level = AdaptiveLevel(nominal, settings.level_step, known.miss if known else None)
            self._level.truths = known.truths if known else 0

    def judged(self, answer: Row, truth: FloatArray) -> None:
        """Take a truth of this bundle."""
        self.drift.add(self._task.error(answer, truth))
        if self._level is None or self.served.calibration is None:
            return
        held = held_at(self._level.coverage, self._task, self.served.calibration, answer, truth)
        if held is not None:
            self._level.update(held)

    def memory(self) -> ArmMemory:
        """To be kept."""
        baseline = asdict(self.drift.baseline) if self.drift.baseline else None
        level = self._level
        return ArmMemory(
            self.served.bundle, baseline, level.miss if level else None, level.truths if level else 0
        )

    @property
    def level(self) -> LevelState | None:
        """For the page; None of an ensemble."""
        if self._level is None:
            return None
        return LevelState(
            nominal=self._level.nominal, level=round(self._level.coverage, 6), truths=self._level.truths
        )
