"""The implementation of `Tracing` by OpenTelemetry's SDK."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.trace import SpanKind, Tracer, format_trace_id, get_current_span

from deployments.http.tracing import TracedRequests
from deployments.inference.tracing import TracedCoalescer, TracedDownstream
from deployments.telemetry.tracing.api import Tracing
from deployments.telemetry.tracing.context import format_traceparent, parse_traceparent
from deployments.telemetry.tracing.export import make_provider
from training.runtime.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from deployments.domain.downstream import Downstream
    from deployments.domain.predictions import Prediction

_CLOSE_TIMEOUT_S = 2.0
_NO_SPAN: AbstractContextManager[str | None] = nullcontext()


def open_tracing(environment: Environment, workload: str, part: str) -> SpanTracing:
    """Open the tracing of this process; arguments as of `open_tracing_if_wanted`."""
    folder = environment.traces
    provider = make_provider(environment, workload, part, folder.resolve() if folder else None)
    ours, sdk = logging.getLogger("deployments"), logging.getLogger("opentelemetry")
    _name_traces(ours)
    # an unreachable collector is logged where all else is, and not on the terminal
    sdk.handlers, sdk.propagate = list(ours.handlers), False
    return SpanTracing(provider, workload)


class SpanTracing(Tracing):
    """Tracing with spans by the sampler of `provider`.

    Args:
        provider: of the SDK; it is shut down by `close`.
        workload: whose requests they are.
    """

    def __init__(self, provider: TracerProvider, workload: str) -> None:
        self._provider = provider
        self._workload = workload
        self._tracer: Tracer = provider.get_tracer("raysonde")
        self.coalescer = partial(TracedCoalescer, self._tracer)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Implement `Tracing.around`."""
        return TracedRequests(app, self._tracer, self._workload)

    def around_downstream(self, downstream: Downstream) -> Downstream:
        """Implement `Tracing.around_downstream`."""
        return TracedDownstream(downstream, self._tracer)

    def answered(self, predictions: Sequence[Prediction]) -> str | None:
        """Implement `Tracing.answered`. The predictions of a batch come in parts, which are only counted."""
        span = get_current_span()
        if not isinstance(span, Span) or not span.is_recording():
            return None
        before = (span.attributes or {}).get("raysonde.rows", 0)
        rows = len(predictions) + (before if isinstance(before, int) else 0)
        span.set_attribute("raysonde.rows", rows)
        if rows == 1:
            span.set_attributes(_prediction_attributes(predictions[0]))
        return format_trace_id(span.get_span_context().trace_id)

    def trace_id(self) -> str | None:
        """Implement `Tracing.trace_id`."""
        span = get_current_span()
        return format_trace_id(span.get_span_context().trace_id) if span.is_recording() else None

    def called(
        self, name: str, trace: str | None, **attributes: str | int
    ) -> AbstractContextManager[str | None]:
        """Implement `Tracing.called`."""
        labels: dict[str, str | int] = {"raysonde.workload": self._workload}
        labels |= {f"raysonde.{key}": value for key, value in attributes.items()}
        return _NO_SPAN if trace is None else self._span(name, trace, SpanKind.SERVER, labels)

    def step(self, name: str, trace: str | None) -> AbstractContextManager[str | None]:
        """Implement `Tracing.step`."""
        return _NO_SPAN if trace is None else self._span(name, trace, SpanKind.INTERNAL, {})

    def close(self) -> None:
        """Implement `Tracing.close`. An unreachable collector must not delay the end of a replica."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT_S)

    @contextmanager
    def _span(
        self, name: str, trace: str, kind: SpanKind, attributes: Mapping[str, str | int]
    ) -> Iterator[str | None]:
        with self._tracer.start_as_current_span(name, parse_traceparent(trace), kind, attributes) as span:
            yield format_traceparent(span) if span.is_recording() else None


class _TraceIds(logging.Filter):
    """A filter that adds the trace id to records of a traced request."""

    def filter(self, record: logging.LogRecord) -> bool:
        span = get_current_span()
        # tasks that a request has begun keep its span; when it has ended, they are their own
        if span.is_recording():
            record.trace_id = format_trace_id(span.get_span_context().trace_id)
        return True


def _name_traces(logger: logging.Logger) -> None:
    for handler in logger.handlers:
        handler.addFilter(_TraceIds())


def _prediction_attributes(prediction: Prediction) -> dict[str, str | bool]:
    attributes: dict[str, str | bool] = {
        "raysonde.prediction.id": str(prediction.id),
        "raysonde.arm": prediction.arm,
        "raysonde.model_version": prediction.version.model_version,
        "raysonde.fallback": prediction.fallback,
    }
    cached = prediction.answer.cached
    return attributes if cached is None else attributes | {"raysonde.cached": cached}
