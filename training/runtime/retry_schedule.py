"""Failures, their reasons, and the times of the next attempts, at intervals that grow. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_GROWTH = 2.0


@dataclass(frozen=True)
class Failure:
    """A failed attempt.

    Attributes:
        reason: why it failed.
        due_s: when it is tried again, by the clock of the schedule.
        wait_s: the interval until then.
    """

    reason: str
    due_s: float
    wait_s: float


class RetrySchedule(Generic[Key]):
    """The failures of many things, each with the time of its next attempt.

    Args:
        first_s: interval after the first failure; it doubles with each.
        longest_s: the interval grows no further.
        clock: seconds, never backwards.
    """

    def __init__(self, first_s: float, longest_s: float, clock: Callable[[], float]) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._failures: dict[Key, Failure] = {}

    def reason(self, key: Key) -> str | None:
        """Return why the last attempt failed; None where none has, or the last succeeded."""
        failure = self._failures.get(key)
        return None if failure is None else failure.reason

    def is_due(self, key: Key) -> bool:
        """Return whether an attempt may be made now: it never failed, or its interval is over."""
        failure = self._failures.get(key)
        return failure is None or self._clock() >= failure.due_s

    def fail(self, key: Key, reason: str) -> bool:
        """Record a failure; return whether its reason is another than last time."""
        last = self._failures.get(key)
        wait_s = self._first_s if last is None else min(_GROWTH * last.wait_s, self._longest_s)
        self._failures[key] = Failure(reason, self._clock() + wait_s, wait_s)
        return last is None or last.reason != reason

    def succeed(self, key: Key) -> None:
        """Forget the failures of a thing."""
        self._failures.pop(key, None)

    def reasons(self) -> dict[Key, str]:
        """Return why each last attempt failed, due again or not."""
        return {key: failure.reason for key, failure in self._failures.items()}
