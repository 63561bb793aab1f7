"""A log line for each request that is answered by a problem document, so that its caller can find it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.problems import MEDIA_TYPE
from deployments.runtime.buffered_lines import BufferedLines

log = logging.getLogger(__name__)

# the end of a problem document's type is its kind
_KIND = "urn:problem-type:raysonde:"
# of what a caller chooses
_MOST_CHARACTERS = 200


@dataclass
class _FailedRequest:
    """A request that was answered by an error."""

    path: str
    client: str | None
    request_id: str | None
    trace_id: str | None
    status: int
    at: datetime
    latency_s: float
    body: bytearray = field(default_factory=bytearray)


class ErrorLog:
    """ASGI middleware around everything of one workload, the key's check included.

    Serve gives every request an id, which the answer has as `X-Request-ID`; the line has it too, since a
    rejected request has no id of a prediction.

    Args:
        app: answers.
        workload: its name.
        trace_id: returns that of the present request; None where it is not traced.
        clock: monotonic seconds.
        now: UTC time.
    """

    def __init__(
        self,
        app: ASGIApp,
        workload: str,
        trace_id: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._workload = workload
        self._trace_id = trace_id
        self._clock = clock
        self._now = now
        self._buffer: BufferedLines[_FailedRequest] = BufferedLines(log, "not answered", self._lines)
        self.flush = self._buffer.flush

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log its answer if that is a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._clock()
        error: _FailedRequest | None = None

        # no coroutine of its own, which would take longer than all else here
        def record_error(message: Message) -> Awaitable[None]:
            nonlocal error
            if message["type"] == "http.response.start":
                if message["status"] >= 400 and _is_problem(message):
                    error = self._error(scope, message["status"], self._clock() - began_s)
            elif error is not None:
                error.body += message.get("body", b"")
                if not message.get("more_body"):
                    self._buffer.add(error)
            return send(message)

        await self._app(scope, receive, record_error)

    def _error(self, scope: Scope, status: int, latency_s: float) -> _FailedRequest:
        request_id = Headers(scope=scope).get("x-request-id")
        client = scope.get("client")
        return _FailedRequest(
            scope["path"][:_MOST_CHARACTERS],
            client[0] if client else None,
            request_id[:_MOST_CHARACTERS] if request_id else None,
            self._trace_id(),
            status,
            self._now(),
            latency_s,
        )

    def _lines(self, error: _FailedRequest) -> list[dict[str, Any]]:
        problem = _problem(bytes(error.body))
        line = {
            "time": error.at.isoformat(timespec="milliseconds"),
            "level": "error" if error.status >= 500 else "info" if error.status == 499 else "warning",
            "http_request_id": error.request_id,
            "trace_id": error.trace_id,
            "workload": self._workload,
            "client": error.client,
            "path": error.path,
            "status": error.status,
            "kind": str(problem.get("type", "")).removeprefix(_KIND) or None,
            "field": problem.get("field"),
            "detail": problem.get("detail"),
            "latency_ms": round(error.latency_s * 1000, 2),
        }
        return [{key: value for key, value in line.items() if value is not None}]


def _is_problem(start: Message) -> bool:
    """Return whether the answer is a problem document; the 503 of `GET /healthz` is none."""
    return Headers(raw=list(start["headers"])).get("content-type") == MEDIA_TYPE


def _problem(body: bytes) -> dict[str, Any]:
    """Return the problem document, or an empty one if the body is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
