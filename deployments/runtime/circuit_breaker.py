"""A circuit breaker: after repeated failures an arm gets no calls for a while, then a few probes.

Source of the pattern: Nygard, "Release It!" (2nd ed., 2018), section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable

from deployments.domain.breaker_settings import BreakerSettings, State


class CircuitBreaker:
    """The breaker of one arm in one router replica.

    A call reads `is_open`, then calls `begin`, then exactly one of `succeed`, `fail` and `abandon`. All four
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
        self._probes_in_flight = 0
        self._probes_succeeded = 0

    @property
    def state(self) -> State:
        """The state: closed lets all calls pass, open none, half-open a few probes."""
        if self._opened_at_s is None:
            return "closed"
        return "open" if self._clock() - self._opened_at_s < self._settings.open_s else "half_open"

    @property
    def is_open(self) -> bool:
        """Return whether a new call should go elsewhere: open, or half-open with all its probes in flight."""
        state = self.state
        if state == "half_open":
            return self._probes_in_flight + self._probes_succeeded >= self._settings.half_open_probes
        return state == "open"

    def begin(self) -> None:
        """Count a call that starts, even if the breaker is open (the last arm left is tried anyway)."""
        if self.state == "half_open":
            self._probes_in_flight += 1

    def succeed(self) -> None:
        """Count a call that was answered."""
        self._end_probe()
        if self.state == "half_open":
            self._probes_succeeded += 1
            if self._probes_succeeded < self._settings.half_open_probes:
                return
        elif self.state == "open":
            return  # the call began before the breaker opened
        self._close()

    def fail(self) -> None:
        """Count a call that failed or ran out of time."""
        self._end_probe()
        self._failures += 1
        if self.state == "half_open" or (
            self.state == "closed" and self._failures >= self._settings.failures_to_open
        ):
            self._opened_at_s = self._clock()
            self._probes_in_flight = 0
            self._probes_succeeded = 0

    def abandon(self) -> None:
        """Count a call that ended without an outcome: its caller left."""
        self._end_probe()

    def _end_probe(self) -> None:
        self._probes_in_flight = max(self._probes_in_flight - 1, 0)

    def _close(self) -> None:
        self._failures = 0
        self._opened_at_s = None
        self._probes_in_flight = 0
        self._probes_succeeded = 0
