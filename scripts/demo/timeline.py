"""The timeline of the demonstration: each event once, and whether the system has healed. Pure.

The error is high when that of the newest truths is above the calm level by `HealRule.factor`. The system has
healed when it is not, after it was high and a version has been promoted: a recovery of the first models does
not count.
"""

from __future__ import annotations

from collections.abc import Hashable

from deployments.domain.drift_state import SETTLED_STATES
from scripts.demo.error_course import ErrorCourse
from scripts.demo.observations import Elapsed, Event, Snapshot, observe
from scripts.demo.plan import HealRule

# the steps of the proof, by the kind of the first event that takes each
STEPS = {
    "wave": "the heat wave begins",
    "high": "the error is visibly higher",
    "drifting": "drift detected",
    "job": "retraining job started",
    "done": "retraining job done",
    "probation": "new version serves",
    "healed": "error back at the calm level",
}


class Timeline:
    """The timeline of one run.

    Args:
        rule: of the error.
        wave_s: begin of the wave.
        wave: its description.
        elapsed: returns the seconds of a moment.

    Attributes:
        events: all so far, in the order in which they were added.
        calm: the calm level; None before the wave.
        unit: of the error.
    """

    def __init__(self, rule: HealRule, wave_s: float, wave: str, elapsed: Elapsed, unit: str) -> None:
        self.events: list[Event] = []
        self.calm: float | None = None
        self._rule = rule
        self._wave_s = wave_s
        self._wave = wave
        self._elapsed = elapsed
        self.unit = unit
        self._known: set[Hashable] = set()

    def update(self, snapshot: Snapshot, course: ErrorCourse) -> list[Event]:
        """Add the new events, and return them."""
        found = self._error_events(snapshot.at_s, course)
        for key, event in observe(snapshot, self._elapsed):
            if key not in self._known:
                self._known.add(key)
                found.append(event)
        self.events += found
        return found

    def first(self, kind: str) -> float | None:
        """Return the time of the first event of this kind, s."""
        return min((event.at_s for event in self.events if event.kind == kind), default=None)

    @property
    def healed_s(self) -> float | None:
        """The time at which the system had healed, s; None until then."""
        return self.first("healed")

    @property
    def drifting(self) -> list[str]:
        """The detectors that are drifting now."""
        changes = [event for event in self.events if event.kind in SETTLED_STATES]
        last = {event.subject: event.kind for event in sorted(changes, key=lambda event: event.at_s)}
        return sorted(subject for subject, kind in last.items() if kind == "drifting")

    @property
    def steps(self) -> dict[str, float | None]:
        """The time at which each step was first taken, s."""
        return {kind: self.first(kind) for kind in STEPS}

    @property
    def missing(self) -> str:
        """The first step that was not taken, in words; empty when all were."""
        return next((words for kind, words in STEPS.items() if self.first(kind) is None), "")

    def _error_events(self, at_s: float, course: ErrorCourse) -> list[Event]:
        if self.calm is None:
            self.calm = course.before(self._wave_s) if at_s >= self._wave_s else None
            return [] if self.calm is None else [self._begun(self.calm)]
        now = course.now
        if now is None or self.healed_s is not None:
            return []
        times, is_high = now / self.calm, now > self._rule.factor * self.calm
        text = f"{now:.2f} {self.unit}, {times:.2f} times the calm level"
        numbers = {"error": now, "times_calm": times}
        if self.first("high") is None:
            return [Event(at_s, "high", text, "", numbers)] if is_high else []
        promoted_s = self.first("probation")
        if promoted_s is None or is_high:
            return []
        return [Event(at_s, "healed", text, "", numbers)]

    def _begun(self, calm: float) -> Event:
        text = f"{self._wave}; until now the error was {calm:.2f} {self.unit}"
        return Event(self._wave_s, "wave", text, "", {"calm": calm})
