"""The export of spans: to a collector by OTLP over HTTP, into files of JSON lines, or both."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, format_span_id, format_trace_id

from deployments.runtime.logs import bounded_file
from deployments.telemetry.tracing.api import exports_to_collector
from training.runtime.environment import Environment


def make_provider(environment: Environment, workload: str, part: str, folder: Path | None) -> TracerProvider:
    """Make the provider of this process; OpenTelemetry's variables give sampler, bounds and names.

    Args:
        environment: names the collector, if there is one.
        workload: named by every span, as `part` is.
        part: router, scaler or the name of an arm.
        folder: for spans as JSON lines, a file a process; none without it.
    """
    own = {
        "service.name": "raysonde",
        "service.instance.id": f"{workload}-{part}.{os.getpid()}",
        "raysonde.workload": workload,
        "raysonde.part": part,
    }
    resource = Resource.create(own | dict(OTELResourceDetector().detect().attributes))
    # the process of a replica is killed, so `close` ends the provider before
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if exports_to_collector(environment):
        # with requests and protobuf, which a process without a collector does not need
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if folder is not None:
        provider.add_span_processor(BatchSpanProcessor(SpanFile(folder, f"{workload}-{part}")))
    return provider


class SpanFile(SpanExporter):
    """An exporter that appends each span as a line of JSON to files of bounded size (`logs.bounded_file`)."""

    def __init__(self, folder: Path, name: str) -> None:
        self._handler = bounded_file(folder, name)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        for span in spans:
            line = orjson.dumps(span_line(span), default=str).decode()
            self._handler.handle(logging.makeLogRecord({"msg": line}))
        self._handler.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._handler.close()


def span_line(span: ReadableSpan) -> dict[str, Any]:
    """Return a span as a flat object; `links` names the spans of other requests by trace and span id."""
    context, began_ns, ended_ns = span.get_span_context(), span.start_time or 0, span.end_time or 0
    return {
        "time": datetime.fromtimestamp(began_ns / 1e9, UTC).isoformat(timespec="microseconds"),
        "trace_id": format_trace_id(context.trace_id) if context else None,
        "span_id": format_span_id(context.span_id) if context else None,
        "parent_id": format_span_id(span.parent.span_id) if span.parent else None,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "workload": span.resource.attributes.get("raysonde.workload"),
        "part": span.resource.attributes.get("raysonde.part"),
        "duration_ms": (ended_ns - began_ns) / 1e6,
        "is_error": not span.status.is_ok,
        "attributes": dict(span.attributes or {}),
        "links": [_link_ids(link) for link in span.links],
    }


def _link_ids(link: Link) -> dict[str, str]:
    return {
        "trace_id": format_trace_id(link.context.trace_id),
        "span_id": format_span_id(link.context.span_id),
    }
