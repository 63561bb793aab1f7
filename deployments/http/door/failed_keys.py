"""Requests without the right key, counted by the address that they come from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FailureLimits:
    """Limits of an address; those of HAProxy are the same (scripts/haproxy/front-door.cfg).

    Attributes:
        failures: answered at once in a window.
        window_s: its length.
        pause_s: what each further one waits for its answer.
        most_waiting: that wait at once, of all addresses; more are not answered later but at once.
        most_addresses: that are counted.
    """

    failures: int = 20
    window_s: float = 10.0
    pause_s: float = 2.0
    most_waiting: int = 256
    most_addresses: int = 10_000


class FailedKeys:
    """A count of failures by address, in windows of a fixed length.

    Args:
        limits: see there.
        clock: monotonic seconds.
        sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        limits: FailureLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.limits = limits or FailureLimits()
        self._clock = clock
        self._sleep = sleep
        self._counts: dict[str, int] = {}
        self._ends_s = 0.0
        self._waiting = 0

    async def add(self, address: str) -> bool:
        """Count a failure, and return whether there were too many; if so after a pause."""
        if (now_s := self._clock()) >= self._ends_s or len(self._counts) >= self.limits.most_addresses:
            self._counts.clear()
            self._ends_s = now_s + self.limits.window_s
        count = self._counts[address] = self._counts.get(address, 0) + 1
        if count <= self.limits.failures:
            return False
        if self._waiting < self.limits.most_waiting:
            self._waiting += 1
            try:
                await self._sleep(self.limits.pause_s)
            finally:
                self._waiting -= 1
        return True
