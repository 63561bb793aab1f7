"""Spans of a router replica: the wait of each request, and the calls of arms that serve many requests.

A call belongs to the trace of the first traced request that it serves: its span is a child of that request's
span and links to those of the others, and theirs link to it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from deployments.domain.downstream import Downstream
from deployments.domain.routing import ArmVersion
from deployments.runtime.batching import Coalescer, K, R, T
from deployments.telemetry.tracing.context import format_traceparent
from training.runtime.tasks.base import ArmAnswer

_OTHERS = create_key("raysonde-requests-of-the-same-call")


class TracedCoalescer(Coalescer[K, R, T]):
    """A `Coalescer` that has a span for the wait of each traced row, until it is sent.

    Args:
        tracer: makes the spans.
        call: see `Coalescer`; it runs in the context of the first traced request that it serves.
        options: of `Coalescer`.
    """

    def __init__(
        self, tracer: Tracer, call: Callable[[K, list[R]], Awaitable[Sequence[T]]], **options: Any
    ) -> None:
        super().__init__(partial(self._call_for_requests, call), **options)
        self._tracer = tracer
        # by the identity of the row, which its caller holds as long as the row waits
        self._waits: dict[int, tuple[Span, Span]] = {}

    async def submit(self, key: K, row: R, patience_s: float = math.inf) -> T:
        """Submit; see `Coalescer`."""
        request = get_current_span()
        if not request.is_recording():
            return await super().submit(key, row, patience_s)
        self._waits[id(row)] = request, self._tracer.start_span("wait")
        try:
            return await super().submit(key, row, patience_s)
        finally:
            self._end_wait(row)

    def _end_wait(self, row: R) -> Span | None:
        """End the wait of a row that is sent, or never will be; return the span of its request."""
        request, wait = self._waits.pop(id(row), (None, None))
        if wait is not None:
            wait.end()
        return request

    async def _call_for_requests(
        self, call: Callable[[K, list[R]], Awaitable[Sequence[T]]], key: K, rows: list[R]
    ) -> Sequence[T]:
        requests = [request for row in rows if (request := self._end_wait(row)) is not None]
        # the task of a call begins in the context of whichever request came to set it off
        context = Context()
        if requests:
            context = set_value(_OTHERS, requests[1:], set_span_in_context(requests[0], context))
        token = attach(context)
        try:
            return await call(key, rows)
        finally:
            detach(token)


class TracedDownstream:
    """A `Downstream` that has a span for each call, and passes it on to the scaler.

    Args:
        downstream: that it calls.
        tracer: makes the spans.
    """

    def __init__(self, downstream: Downstream, tracer: Tracer) -> None:
        self._downstream = downstream
        self._tracer = tracer

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        """Return the answers of the arm; see `Downstream`; the trace is that of the present context."""
        del trace
        if not get_current_span().is_recording():
            return await self._downstream(arm, version, raw)
        others: Any = get_value(_OTHERS) or ()
        attributes: dict[str, str | int] = {
            "raysonde.arm": arm,
            "raysonde.model_version": version.model_version,
            "raysonde.rows": len(raw),
        }
        links = [Link(other.get_span_context()) for other in others]
        with self._tracer.start_as_current_span(
            f"ask {arm}", None, SpanKind.CLIENT, attributes, links
        ) as span:
            for other in others:
                other.add_link(span.get_span_context())
            return await self._downstream(arm, version, raw, format_traceparent(span))
