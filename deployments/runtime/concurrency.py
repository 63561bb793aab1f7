"""How many calls are under way on average, for the autoscaling."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType


class ConcurrencyMeter:
    """Entered by each call; an exact mean over time, where samples now and then would be a matter of luck.

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
        """Calls under way, averaged over the time since this was last asked."""
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
