"""The context of a trace as it passes between processes: W3C Trace Context, `traceparent`."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def format_traceparent(span: Span) -> str:
    """Return the header that names the span as the parent of its calls."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    return carrier["traceparent"]


def parse_traceparent(traceparent: str, tracestate: str = "") -> Context:
    """Return the context that the headers name; an empty one where they are not valid."""
    return _W3C.extract({"traceparent": traceparent, "tracestate": tracestate}, Context())
