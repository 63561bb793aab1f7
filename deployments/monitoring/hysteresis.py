"""Cool or hot: one change of state for what may be looked at hundreds of times. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from deployments.monitoring.settings import HysteresisSettings

State = Literal["cool", "hot"]


@dataclass(frozen=True)
class Finding:
    """What a detector sees at one look.

    Attributes:
        score: 1 or more is too much; None while there is too little to go by.
        reason: in words, what it would turn hot for.
        evidence: the numbers behind it.
    """

    score: float | None
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


class Hysteresis:
    """Turns hot after `confirm` looks in a row at 1 or above, cool after `settle` below `leave`.

    >>> hysteresis = Hysteresis(HysteresisSettings(confirm=2, settle=2))
    >>> [hysteresis.update(score) for score in (1.2, 0.9, 1.0, 1.0, 5.0, 0.8, 0.6, None, 0.6, 0.6)]
    [None, None, None, 'hot', None, None, None, None, 'cool', None]

    Args:
        settings: how many looks.
        state: that it begins in.
    """

    def __init__(self, settings: HysteresisSettings, state: State = "cool") -> None:
        self.state: State = state
        self._settings = settings
        self._run = 0

    def update(self, score: float | None) -> State | None:
        """Take a look's score; the new state if it has changed. None says nothing either way."""
        if score is None:
            return None
        is_drifting = self.state == "hot"
        counts = score < self._settings.leave if is_drifting else score >= 1
        self._run = self._run + 1 if counts else 0
        if self._run < (self._settings.settle if is_drifting else self._settings.confirm):
            return None
        self._run = 0
        self.state = "cool" if is_drifting else "hot"
        return self.state
