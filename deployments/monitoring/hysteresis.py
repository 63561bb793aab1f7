"""Hysteresis: one change of state for a score that may be evaluated hundreds of times. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deployments.domain.drift_state import SettledState
from deployments.monitoring.settings import HysteresisSettings


@dataclass(frozen=True)
class Finding:
    """The result of one evaluation of a detector.

    Attributes:
        score: 1 or more is too much; None while there are too few records.
        reason: in words, why it would be drifting.
        evidence: the numbers behind it.
    """

    score: float | None
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


class Hysteresis:
    """A state: drifting after `confirm` scores in a row at 1 or above, ok after `settle` below `leave`.

    >>> hysteresis = Hysteresis(HysteresisSettings(confirm=2, settle=2))
    >>> [hysteresis.update(score) for score in (1.2, 0.9, 1.0, 1.0, 5.0, 0.8, 0.6, None, 0.6, 0.6)]
    [None, None, None, 'drifting', None, None, None, None, 'ok', None]

    Args:
        settings: how many evaluations, and which scores.
        state: the one to begin with.
    """

    def __init__(self, settings: HysteresisSettings, state: SettledState = "ok") -> None:
        self.state: SettledState = state
        self._settings = settings
        self._run = 0

    def update(self, score: float | None) -> SettledState | None:
        """Add the score of an evaluation, None if unknown; return the new state if it has changed."""
        if score is None:
            return None
        is_drifting = self.state == "drifting"
        counts = score < self._settings.leave if is_drifting else score >= 1
        self._run = self._run + 1 if counts else 0
        if self._run < (self._settings.settle if is_drifting else self._settings.confirm):
            return None
        self._run = 0
        self.state = "ok" if is_drifting else "drifting"
        return self.state
