"""A collector of spans: OTLP over HTTP, as a real server on a port of its own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collected(NamedTuple):
    """A span, with the attributes of the process that it comes from."""

    span: Span
    resource: dict[str, str]


class Collector:
    """What has come to it so far; `url` is the endpoint for exporters."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: list[Collected] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self._lock:
            for by_process in request.resource_spans:
                attributes = {one.key: one.value.string_value for one in by_process.resource.attributes}
                for scope in by_process.scope_spans:
                    self._spans += [Collected(span, attributes) for span in scope.spans]

    def of_trace(self, trace_id: str) -> list[Collected]:
        with self._lock:
            return [one for one in self._spans if one.span.trace_id.hex() == trace_id]

    def trace_ids(self) -> set[str]:
        with self._lock:
            return {one.span.trace_id.hex() for one in self._spans}


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()
    thread = Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()
