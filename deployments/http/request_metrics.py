"""The counts and durations of the requests of one router replica, rejected ones included."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.domain.paths import route_name
from deployments.http.door.caller import PROBE_HEADER
from deployments.http.problems import PROBLEM_KIND, problem_kind
from deployments.telemetry.metrics.catalogue import CALLS, DURATION_BOUNDS_S
from deployments.telemetry.metrics.error_kinds import error_kind
from deployments.telemetry.metrics.samples import Buckets

_CALLS_BY_ROUTE = {f"/{call}": call for call in CALLS if call != "other"}
# as nginx has it: the client has closed the connection
_CLIENT_LEFT = 499


class Durations:
    """A cumulative histogram of durations."""

    def __init__(self) -> None:
        self._counts = [0] * (len(DURATION_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(DURATION_BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def buckets(self) -> Buckets:
        """Return the durations so far."""
        return Buckets.from_counts(DURATION_BOUNDS_S, self._counts, self._sum_s)


class RequestCounts:
    """The counts since the replica started.

    Attributes:
        requests: by call and HTTP status.
        errors: requests that failed, by call and kind.
        probes: those of `requests` that are marked as probes and failed.
        durations: of all requests, by call.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.probes: Counter[tuple[str, int]] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.durations = {call: Durations() for call in CALLS}

    def add(self, call: str, status: int, seconds: float, kind: str | None) -> None:
        """Count a request; `kind` is None if it did not fail."""
        self.requests[call, status] += 1
        self.durations[call].add(seconds)
        if kind is not None:
            self.errors[call, kind] += 1


class RequestMetricsMiddleware:
    """ASGI middleware around all of a workload's application, its key included.

    Args:
        app: the one that answers.
        counts: gets the results.
        clock: seconds.
    """

    def __init__(
        self, app: ASGIApp, counts: RequestCounts, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._counts = counts
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it with the status of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._clock()
        status = 0

        # no coroutine of its own: that would cost more than all the rest
        def record_status(message: Message) -> Awaitable[None]:
            nonlocal status
            if not status:
                status = message.get("status", 0)
            return send(message)

        failure: BaseException | None = None
        try:
            await self._app(scope, receive, record_status)
        except BaseException as error:
            failure = error
            raise
        finally:
            seconds = self._clock() - began_s
            if failure is not None:
                self._count_failed(scope, status, seconds, failure)
            else:
                # the 503 of a health check is no problem
                problem = scope.get(PROBLEM_KIND)
                kind = None if problem is None else error_kind(problem)
                call, status = _call_name(scope), status or 500
                self._counts.add(call, status, seconds, kind)
                if kind is not None and Headers(raw=scope.get("headers", [])).get(PROBE_HEADER) == "1":
                    self._counts.probes[call, status] += 1

    def _count_failed(self, scope: Scope, status: int, seconds: float, failure: BaseException) -> None:
        """Count a request whose answer is not whole, or an internal fault."""
        if isinstance(failure, ClientDisconnect | asyncio.CancelledError):
            status, kind = _CLIENT_LEFT, "client_left"
        else:
            kind = error_kind(problem_kind(failure)) if isinstance(failure, Exception) else "fault"
        self._counts.add(_call_name(scope), status or 500, seconds, kind)


def _call_name(scope: Scope) -> str:
    return _CALLS_BY_ROUTE.get(route_name(scope), "other") if scope["method"] == "POST" else "other"
