"""The mean number of calls in flight, for the autoscaling."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType


class ConcurrencyMeter:
    """A meter of calls in flight, which each call enters: an exact mean over time, in place of samples.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls = 0
        self._call_s = 0.0
        self._began_s = self._changed_s = clock()

    def __enter__(self) -> None:
        self._pass_time()
        self._calls += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_time()
        self._calls -= 1

    def mean(self) -> float:
        """Return the mean number of calls in flight since the previous call of this method."""
        now_s = self._pass_time()
        lasted_s = now_s - self._began_s
        mean = self._call_s / lasted_s if lasted_s > 0 else float(self._calls)
        self._began_s, self._call_s = now_s, 0.0
        return mean

    def _pass_time(self) -> float:
        now_s = self._clock()
        self._call_s += self._calls * (now_s - self._changed_s)
        self._changed_s = now_s
        return now_s
