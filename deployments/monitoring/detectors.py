"""The detectors of a workload: their states, and the events of their changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from deployments.domain.drift_state import SettledState
from deployments.monitoring.hysteresis import Finding, Hysteresis
from deployments.monitoring.settings import HysteresisSettings
from deployments.monitoring.view import DetectorState
from deployments.store.monitor_feed import DriftEvent

Key = tuple[str, str]


class DetectorStates:
    """The state of each detector, by kind and subject.

    Args:
        workload: its name.
        settings: of the changes.
        last: the last event of each, if an earlier Monitor has stored one.
    """

    def __init__(
        self, workload: str, settings: HysteresisSettings, last: Mapping[Key, DriftEvent] | None = None
    ) -> None:
        self._workload = workload
        self._settings = settings
        self._last = dict(last or {})
        self._hysteresis: dict[Key, Hysteresis] = {}
        self._findings: dict[Key, Finding] = {}

    def update(self, key: Key, finding: Finding, now: datetime) -> DriftEvent | None:
        """Add what a detector has found, and return an event if its state has changed."""
        self._findings[key] = finding
        state = self._hysteresis_for(key).update(finding.score)
        if state is None:
            return None
        evidence = dict(finding.evidence) | {"score": finding.score}
        event = DriftEvent(now, self._workload, *key, state, finding.reason, evidence)
        self._last[key] = event
        return event

    def page_rows(self) -> list[DetectorState]:
        """Return the detectors that have been evaluated, for the page."""
        found = []
        for key in sorted(self._findings):
            finding, last = self._findings[key], self._last.get(key)
            state = self._hysteresis_for(key).state
            is_unknown = finding.score is None and state == "ok"
            found.append(
                DetectorState(
                    kind=key[0],
                    subject=key[1],
                    state="insufficient_data" if is_unknown else state,
                    since=last.at if last else None,
                    score=finding.score,
                    reason=last.reason if last else "",
                    evidence=finding.evidence,
                )
            )
        return found

    def _hysteresis_for(self, key: Key) -> Hysteresis:
        if key not in self._hysteresis:
            last = self._last.get(key)
            state: SettledState = last.state if last is not None else "ok"
            self._hysteresis[key] = Hysteresis(self._settings, state)
        return self._hysteresis[key]


def highest(findings: Iterable[Finding]) -> Finding:
    """Return the finding with the highest score, or the last if none has one."""
    found = list(findings)
    scored = [(one.score, number) for number, one in enumerate(found) if one.score is not None]
    return found[max(scored)[1]] if scored else found[-1]
