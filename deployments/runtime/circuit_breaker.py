"""A circuit breaker: after repeated failures an arm is left alone for a while, then tried again.

Source of the pattern: Nygard, "Release It!" (2nd ed., 2018), section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable

from deployments.domain.breaker_settings import BreakerSettings, State


class CircuitBreaker:
    """The breaker of one arm in one router replica.

    A call asks `is_open`, then says `begin`, then exactly one of `succeed`, `fail` and `abandon`. All four
    are plain arithmetic, to be called from one thread (the event loop).

    Args:
        settings: see `BreakerSettings`.
        clock: monotonic seconds.
    """

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._failures = 0
        self._opened_at_s: float | None = None
        self._probes_under_way = 0
        self._probes_succeeded = 0

    @property
    def state(self) -> State:
        """Closed lets everything pass, open nothing, half-open a few probes."""
        if self._opened_at_s is None:
            return "closed"
        return "open" if self._clock() - self._opened_at_s < self._settings.open_s else "half_open"

    @property
    def is_open(self) -> bool:
        """Whether a new call should go elsewhere: open, or half-open with all its probes under way."""
        state = self.state
        if state == "half_open":
            return self._probes_under_way + self._probes_succeeded >= self._settings.half_open_probes
        return state == "open"

    def begin(self) -> None:
        """A call starts, whether or not the breaker is open (the last arm left is tried anyway)."""
        if self.state == "half_open":
            self._probes_under_way += 1

    def succeed(self) -> None:
        """A call was answered."""
        self._end_probe()
        if self.state == "half_open":
            self._probes_succeeded += 1
            if self._probes_succeeded < self._settings.half_open_probes:
                return
        elif self.state == "open":
            return  # a call from before it opened says nothing about now
        self._close()

    def fail(self) -> None:
        """A call failed or ran out of time."""
        self._end_probe()
        self._failures += 1
        if self.state == "half_open" or (
            self.state == "closed" and self._failures >= self._settings.failures_to_open
        ):
            self._opened_at_s = self._clock()
            self._probes_under_way = 0
            self._probes_succeeded = 0

    def abandon(self) -> None:
        """A call ended without a verdict: its caller left."""
        self._end_probe()

    def _end_probe(self) -> None:
        self._probes_under_way = max(self._probes_under_way - 1, 0)

    def _close(self) -> None:
        self._failures = 0
        self._opened_at_s = None
        self._probes_under_way = 0
        self._probes_succeeded = 0
