"""The error of the system over time: the root mean square error of its newest answers. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluatedPrediction:
    """An answer whose truth is known.

    Attributes:
        at_s: when the truth was known, seconds since the first request.
        arm, version: those that answered.
        error: answer less truth.
    """

    at_s: float
    arm: str
    version: str
    error: float


class ErrorCourse:
    """The course of the error, from answers in the order in which their truths were known.

    Args:
        truths: the number of newest answers for each error.

    Attributes:
        evaluated: all answers.
        points: the time of each, and the error of the newest then; none before there are enough.
    """

    def __init__(self, truths: int) -> None:
        self.evaluated: list[EvaluatedPrediction] = []
        self.points: list[tuple[float, float]] = []
        self._newest: deque[float] = deque(maxlen=truths)

    def add(self, one: EvaluatedPrediction) -> None:
        """Add the next answer."""
        self.evaluated.append(one)
        self._newest.append(one.error**2)
        if len(self._newest) == self._newest.maxlen:
            self.points.append((one.at_s, math.sqrt(math.fsum(self._newest) / len(self._newest))))

    @property
    def now(self) -> float | None:
        """The error of the newest; None while there are too few."""
        return self.points[-1][1] if self.points else None

    def before(self, at_s: float) -> float | None:
        """Return the error of all answers known before that time; None if there is none."""
        squares = [one.error**2 for one in self.evaluated if one.at_s < at_s]
        return math.sqrt(math.fsum(squares) / len(squares)) if squares else None
