"""How wrong the system was over time: the root mean square error of its newest answers. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluatedPrediction:
    """An answer whose truth is known.

    Attributes:
        at_s: when the truth was known, seconds since the first request.
        arm, version: what answered.
        error: answer less truth.
    """

    at_s: float
    arm: str
    version: str
    error: float


class ErrorCourse:
    """Takes answers in the order in which their truths were known.

    Args:
        truths: the newest so many are looked at.

    Attributes:
        judged: all of them.
        points: after each, its time and the error of the newest; none before there are so many.
    """

    def __init__(self, truths: int) -> None:
        self.judged: list[EvaluatedPrediction] = []
        self.points: list[tuple[float, float]] = []
        self._newest: deque[float] = deque(maxlen=truths)

    def add(self, one: EvaluatedPrediction) -> None:
        """Take the next."""
        self.judged.append(one)
        self._newest.append(one.error**2)
        if len(self._newest) == self._newest.maxlen:
            self.points.append((one.at_s, math.sqrt(math.fsum(self._newest) / len(self._newest))))

    @property
    def now(self) -> float | None:
        """The error of the newest; None while there are too few."""
        return self.points[-1][1] if self.points else None

    def before(self, at_s: float) -> float | None:
        """The error of all that was known before that time; None if nothing was."""
        squares = [one.error**2 for one in self.judged if one.at_s < at_s]
        return math.sqrt(math.fsum(squares) / len(squares)) if squares else None
