"""Ctrl-C, SIGTERM and SIGHUP as one value that a loop can look at."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `make` passes a signal on that the terminal has sent to us as well: two at once are one wish
_SAME_WISH_S = 1.0


class Interruption:
    """Counts wishes to stop. The first asks for good order, a second one to hurry.

    Use as a context manager in the main thread; the handlers of before come back at its end.
    """

    def __init__(self) -> None:
        self.hang_up = False
        self._first_s: float | None = None
        self._hurry = threading.Event()
        self._requested = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal

    @property
    def requested(self) -> bool:
        """Return whether a stop was requested."""
        return self._requested.is_set()

    @property
    def hurry(self) -> bool:
        """Return whether a stop was requested twice."""
        return self._hurry.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a request to stop; whether there was one."""
        return self._requested.wait(timeout_s)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
        elif now_s - self._first_s > _SAME_WISH_S:
            self._hurry.set()
        self.hang_up = self.hang_up or number == signal.SIGHUP
        self._requested.set()
