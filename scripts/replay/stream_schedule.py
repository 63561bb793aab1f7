"""The schedule of a stream: when each request and its truth are due. Pure; in seconds since it began."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Protocol


class Pace(Protocol):
    """The protocol of a pace: when requests are due."""

    def due_s(self, request: int) -> float:
        """Return when the request of this number, from 0, is due; it never falls."""
        ...


@dataclass(frozen=True)
class Steady:
    """A pace of so many requests a second, evenly."""

    rate_per_s: float

    def __post_init__(self) -> None:
        _check_positive("rate_per_s", self.rate_per_s)

    def due_s(self, request: int) -> float:
        """Return when a request is due; see `Pace`."""
        return request / self.rate_per_s


@dataclass(frozen=True)
class Bursts:
    """A pace of so many requests a second for `active_s`, nothing for `idle_s`, and again."""

    rate_per_s: float = 20.0
    active_s: float = 5.0
    idle_s: float = 25.0

    def __post_init__(self) -> None:
        _check_positive("rate_per_s", self.rate_per_s)
        _check_positive("active_s", self.active_s)
        if self.idle_s < 0:
            raise ValueError(f"idle_s: got {self.idle_s:g}, expected 0 s or more")

    def due_s(self, request: int) -> float:
        """Return when a request is due; see `Pace`."""
        # a burst has at least its first request; the tolerance keeps 0.1 x 30 from becoming 2
        per_burst = max(1, int(self.rate_per_s * self.active_s + 1e-9))
        burst, within = divmod(request, per_burst)
        return burst * (self.active_s + self.idle_s) + within / self.rate_per_s


@dataclass(frozen=True)
class Due:
    """Due requests by number, with when each was due, and due truths by the number of their request."""

    requests: tuple[tuple[int, float], ...]
    truths: tuple[int, ...]


class Schedule:
    """Hands out requests and truths when they are due, each once.

    A truth is due `truth_delay_s` after its request was, but never before its answer.

    Args:
        pace: of the requests.
        truth_delay_s: from a request to its truth.
        requests: how many there are at most.
        duration_s: no request is due at or after this; None: whenever.
    """

    def __init__(
        self, pace: Pace, truth_delay_s: float, requests: int, duration_s: float | None = None
    ) -> None:
        if truth_delay_s < 0:
            raise ValueError(f"truth_delay_s: got {truth_delay_s:g}, expected 0 s or more")
        self._pace = pace
        self._truth_delay_s = truth_delay_s
        self._requests = requests
        self._duration_s = duration_s
        self._next = 0
        self._truths: list[tuple[float, int]] = []
        self._stopped = False
        self.dropped_truths = 0

    def take(self, now_s: float) -> Due:
        """Take everything that has become due by now and was not taken before."""
        requests = []
        while (due_s := self._next_request_s()) is not None and due_s <= now_s:
            requests.append((self._next, due_s))
            self._next += 1
        truths = []
        while self._truths and self._truths[0][0] <= now_s:
            truths.append(heapq.heappop(self._truths)[1])
        return Due(tuple(requests), tuple(truths))

    def answered(self, request: int) -> None:
        """Note that this request has an answer: its truth becomes due, unless the stream was stopped."""
        if self._stopped:
            self.dropped_truths += 1
        else:
            heapq.heappush(self._truths, (self._pace.due_s(request) + self._truth_delay_s, request))

    def next_due_s(self) -> float | None:
        """Return when something is due next; None: nothing, unless another answer comes."""
        known = [self._truths[0][0]] if self._truths else []
        request_s = self._next_request_s()
        return min([*known, *([] if request_s is None else [request_s])], default=None)

    def stop(self) -> None:
        """Stop: nothing is due from now on; `dropped_truths` counts what is never sent."""
        self._stopped = True
        self.dropped_truths += len(self._truths)
        self._truths.clear()

    @property
    def waiting_truths(self) -> int:
        """Answered requests whose truth was not taken yet."""
        return len(self._truths)

    def _next_request_s(self) -> float | None:
        if self._stopped or self._next >= self._requests:
            return None
        due_s = self._pace.due_s(self._next)
        return None if self._duration_s is not None and due_s >= self._duration_s else due_s


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: got {value:g}, expected more than 0")
