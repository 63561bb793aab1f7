"""A span for each request with instances or truths, in the trace of its caller."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.telemetry.tracing.context import parse_traceparent

_PARENT, _STATE = b"traceparent", b"tracestate"
_NO_PARENT = Context()
_ROUTES = ("/predict", "/batch_predict", "/feedback")


class TracedRequests:
    """ASGI middleware around the routes of one workload.

    Args:
        app: the one that answers.
        tracer: makes the spans.
        workload: its name.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer, workload: str) -> None:
        self._app = app
        self._tracer = tracer
        self._workload = workload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, in a span if it is one of those and the sampler takes it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        route = next((route for route in _ROUTES if scope["path"].endswith(route)), None)
        if route is None:
            await self._app(scope, receive, send)
            return
        parent = _parent(dict(scope["headers"]))
        attributes = {"http.request.method": "POST", "http.route": f"/{self._workload}{route}"}
        span = self._tracer.start_span(f"POST /{self._workload}{route}", parent, SpanKind.SERVER, attributes)
        if not span.is_recording():  # the others need no context, which takes as long as the decision
            await self._app(scope, receive, send)
            return
        with use_span(span, end_on_exit=True):
            span.set_attribute("raysonde.workload", self._workload)
            await self._app(scope, receive, _record_status(send, span))


def _parent(headers: Mapping[bytes, bytes]) -> Context:
    if _PARENT not in headers:
        return _NO_PARENT
    return parse_traceparent(*(headers.get(name, b"").decode("latin-1") for name in (_PARENT, _STATE)))


def _record_status(send: Send, span: Span) -> Send:
    async def send_and_record(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        await send(message)

    return send_and_record
