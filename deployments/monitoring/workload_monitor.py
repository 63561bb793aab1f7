"""The monitor of one workload: rows of the journal in, a page and events out. Pure but for its parser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.arm_monitor import ArmMemory, ArmMonitor, ServedBundle
from deployments.monitoring.detectors import DetectorStates, Key, highest
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.input_drift import InputWindow, ReferenceBins
from deployments.monitoring.measures import make_measures
from deployments.monitoring.quality import QualityWindow
from deployments.monitoring.rolling_metrics import RollingMetrics
from deployments.monitoring.settings import MonitoringSettings
from deployments.monitoring.view import MonitorPage, Window
from deployments.requests.parser import InstanceParser
from deployments.store.monitor_feed import ArmLevel, DriftEvent
from deployments.store.monitored import (
    MonitoredPrediction,
    MonitoredRejections,
    MonitoredRepeat,
    MonitoredTruth,
)
from features.contract import Contract
from features.errors import InvalidInput
from features.workload import load_workload
from training.runtime.tasks.base import ArmAnswer
from training.runtime.tasks.factory import make_task

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MonitorMemory:
    """The state that a restarted Monitor resumes from, beside the journal and the last events."""

    arms: dict[str, ArmMemory] = field(default_factory=dict)
    quality_reference: dict[str, float] | None = None
    input_reference: list[float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the memory as JSON for the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> MonitorMemory:
        """Invert `to_json`."""
        arms = {arm: ArmMemory(**one) for arm, one in members.get("arms", {}).items()}
        return cls(arms, members.get("quality_reference"), members.get("input_reference"))


class WorkloadMonitor:
    """The monitor of a workload under one contract.

    Args:
        contract: of the workload.
        settings: section `monitoring` of its file.
        last: the last event of each detector.
        memory: the one that an earlier Monitor has stored.
    """

    def __init__(
        self,
        contract: Contract,
        settings: MonitoringSettings,
        last: Mapping[Key, DriftEvent] | None = None,
        memory: MonitorMemory | None = None,
    ) -> None:
        memory = memory or MonitorMemory()
        self.contract = contract
        self.settings = settings
        self._workload = load_workload(contract)
        self._task = make_task(contract, self._workload)
        self._parser = InstanceParser(contract)
        self._longest_s = max(settings.detection_windows_s)
        self._rolling = RollingMetrics(
            contract.target, make_measures(contract.target, self._task), settings.late_after_s
        )
        self._quality = QualityWindow(contract, settings.quality, self._longest_s)
        self._quality.reference = memory.quality_reference
        self._input: InputWindow | None = None
        self._arms: dict[str, ArmMonitor] = {}
        self._memory = memory
        self._states = DetectorStates(contract.workload, settings.hysteresis, last)

    def set_served(self, served: Mapping[str, ServedBundle]) -> None:
        """Set the bundles that the arms serve now; the state of other bundles is dropped."""
        for arm, one in served.items():
            known = self._arms.get(arm)
            if known is None or known.served.bundle != one.bundle:
                memory = self._memory.arms.get(arm)
                self._arms[arm] = ArmMonitor(one, self._task, self.settings, memory)
        self._arms = {arm: one for arm, one in self._arms.items() if arm in served}

    def set_reference(self, reference: FloatArray) -> None:
        """Set the features, (n, [steps,] features), with which live ones are compared from now on."""
        names = tuple(self._workload.feature_names)
        bins = ReferenceBins(names, reference, self.settings.input.ignore)
        self._input = InputWindow(bins, self.settings.input, self._longest_s)
        frozen, self._memory = self._memory.input_reference, replace(self._memory, input_reference=None)
        if frozen is not None and len(frozen) == bins.width:
            self._input.reference = np.array(frozen)

    def add_predictions(self, rows: Sequence[MonitoredPrediction], now: datetime) -> None:
        """Add answers but those of probes, and the features of those that are recent enough."""
        rows = [row for row in rows if not row.probe]
        for row in rows:
            self._rolling.add_prediction(row)
            self._quality.add(row.created_at.timestamp(), row.filled)
        if self._input is not None:
            since_s = now.timestamp() - self._input.span_s
            recent = [row for row in rows if row.created_at.timestamp() >= since_s]
            self._add_features(self._input, recent)

    def add_truths(self, rows: Iterable[MonitoredTruth], learnt_up_to: int = 0) -> None:
        """Add pairs; the memory has learnt from those up to that cursor already."""
        name = self.contract.target.name
        for row in rows:
            answer = ArmAnswer(row.prediction, row.interval, row.coverage, level=row.level)
            # a journal may reach back to a contract with another target
            with suppress(KeyError, ValueError, TypeError, IndexError):
                truth = self.contract.target.of_json(row.truth[name])
                measured = self._rolling.add_truth(row, answer, truth)
                arm = self._arms.get(row.arm)
                if measured is None or arm is None or arm.served.bundle != row.bundle:
                    continue
                arm.count_truth(row.created_at.timestamp(), answer, truth, measured)
                if row.seq > learnt_up_to:
                    arm.learn(answer, truth)

    def add_repeats(self, rows: Iterable[MonitoredRepeat]) -> None:
        """Add truths after the first of their id."""
        for row in rows:
            self._rolling.add_repeat(row)

    def add_rejections(self, rows: Iterable[MonitoredRejections]) -> None:
        """Add counts of rejected requests."""
        for row in rows:
            self._quality.add_rejections(row.at.timestamp(), row.requests)

    def evaluate(self, now: datetime) -> list[DriftEvent]:
        """Evaluate every detector, and return the changes of state."""
        events = [
            event
            for key, finding in self._findings(now).items()
            if (event := self._states.update(key, finding, now)) is not None
        ]
        for event in events:
            window = {"quality": self._quality, "input": self._input}.get(event.kind)
            if window is None:
                continue
            if event.state == "drifting":
                window.freeze_reference(now.timestamp())
            else:
                window.unfreeze_reference()
        return events

    def page(self, now: datetime, up_to_date: bool) -> MonitorPage:
        """Return the page of `GET /monitor`."""
        windows = {
            f"{window_s:g}_s": Window(
                window_s=window_s,
                arms={arm: self._rolling.window(arm, now, window_s) for arm in self._rolling.arms},
                truths=self._rolling.truth_counts(now, window_s),
            )
            for window_s in self.settings.windows_s
        }
        levels = {arm: one.level for arm, one in sorted(self._arms.items()) if one.level is not None}
        return MonitorPage(
            workload=self.contract.workload,
            at=now,
            up_to_date=up_to_date,
            windows=windows,
            drift=self._states.page_rows(),
            levels=levels,
        )

    def levels(self) -> list[ArmLevel]:
        """Return the level for each arm's next regions; an empty list where they stay at the nominal one."""
        if not self.settings.serve_levels:
            return []
        return [
            ArmLevel(arm, one.served.bundle, one.level.level)
            for arm, one in sorted(self._arms.items())
            if one.level is not None
        ]

    def memory(self) -> MonitorMemory:
        """Return the state to be stored for a restarted Monitor."""
        arms = {arm: one.memory() for arm, one in self._arms.items()}
        frozen = self._input.reference if self._input is not None else None
        return MonitorMemory(
            self._memory.arms | arms, self._quality.reference, None if frozen is None else frozen.tolist()
        )

    def payload_features(self, payloads: Iterable[str]) -> FloatArray | None:
        """Return the features of instances, (n, [steps,] features); None if none fits the contract."""
        raw = [found for one in payloads if (found := self._parse(one)) is not None]
        return self._features(raw) if raw else None

    def _findings(self, now: datetime) -> dict[Key, Finding]:
        windows_s, now_s = self.settings.detection_windows_s, now.timestamp()
        found: dict[Key, Finding] = {
            ("quality", ""): highest(self._quality.evaluate(now_s, window_s) for window_s in windows_s)
        }
        if self._input is not None:
            window = self._input
            found["input", ""] = highest(window.evaluate(now_s, window_s) for window_s in windows_s)
        for arm, monitor in self._arms.items():
            found["calibration", arm] = highest(
                monitor.evaluate_calibration(now_s, window_s) for window_s in windows_s
            )
            found["concept", arm] = monitor.drift.evaluate()
        return found

    def _add_features(self, window: InputWindow, rows: Iterable[MonitoredPrediction]) -> None:
        """Add the features of rows, bucket by bucket; of equal rows those of the first."""
        has_entities = self.contract.entity != "id"
        parts: dict[int, list[tuple[MonitoredPrediction, FloatArray]]] = {}
        for row in rows:
            at_s = row.created_at.timestamp()
            if not window.admit(at_s):
                continue
            raw = self._parse(row.payload)
            if raw is None:
                continue
            instance = hash((row.entity if has_entities else "", raw.tobytes()))
            if window.is_new(at_s, instance):
                parts.setdefault(window.bucket(at_s), []).append((row, raw))
        for part in parts.values():
            features = self._features([raw for _, raw in part])
            window.add(part[0][0].created_at.timestamp(), {row.entity for row, _ in part}, features)

    def _features(self, raw: Sequence[FloatArray]) -> FloatArray:
        return self._workload.features(np.stack(raw))

    def _parse(self, payload: str) -> FloatArray | None:
        # a journal may reach back to another contract
        with suppress(InvalidInput, ValueError):
            return self._parser.parse_instance(payload.encode()).raw
        return None
