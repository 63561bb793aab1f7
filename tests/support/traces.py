"""A router, a scaler and arms in this process whose spans are kept, and what the spans say."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler
from opentelemetry.trace import format_span_id, format_trace_id
from starlette.types import ASGIApp

from deployments.actors.arm import Arm
from deployments.actors.base import ReplicaOptions
from deployments.actors.feature_scaler import FeatureScaler
from deployments.actors.tracing_sdk import SpanTracing
from deployments.http.app import build_api, route_requests
from deployments.http.error_log import ErrorLog
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.model_client import ModelClient
from deployments.inference.stack import build_stack
from deployments.rpc.client import RpcClient
from features.workload import load_workload
from tests.support.handles import FakeHandle
from tests.support.serving import ARMS, LocalSystem
from training.runtime.tasks.factory import make_task

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-00"}


class TracedSystem:
    """One workload from its routes to its arms, as Serve has it but for the processes."""

    def __init__(self, folder: Path, sampler: Sampler = DEFAULT_ON) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = SpanTracing(provider, "apogee")
        self.system = LocalSystem(folder)
        contract, store = self.system.contract, self.system.store
        options = ReplicaOptions(contract, folder / "cache", folder / "logs", f"sqlite:///{folder}/store.db")
        self.arms = {arm: FakeHandle(self._traced(Arm(arm, options))) for arm in ARMS}
        self.scaler = FakeHandle(self._traced(FeatureScaler(options, self.arms)))
        calls = RpcClient(self.scaler, "predict", is_direct=False)
        downstream = ModelClient(make_task(contract, load_workload(contract)), calls, CoverageLevels())
        self.stack = build_stack(contract, ARMS, downstream, store, self.system.cache, tracing=self.tracing)

    @property
    def app(self) -> ASGIApp:
        app = self.tracing.around(route_requests(self.stack.service, build_api(self.stack)))
        return ErrorLog(app, "apogee", self.tracing.trace_id)

    def spans(self) -> dict[str, ReadableSpan]:
        """By name, of which there is one each; what was made before is forgotten."""
        found = self.exporter.get_finished_spans()
        self.exporter.clear()
        assert len({span.name for span in found}) == len(found), [span.name for span in found]
        return {span.name: span for span in found}

    def _traced(self, replica: Arm | FeatureScaler) -> Arm | FeatureScaler:
        replica.tracing = self.tracing
        return replica


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Of its trace and its own."""
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def parent(span: ReadableSpan) -> str | None:
    return format_span_id(span.parent.span_id) if span.parent else None


def linked(span: ReadableSpan) -> list[tuple[str, str]]:
    return [
        (format_trace_id(link.context.trace_id), format_span_id(link.context.span_id)) for link in span.links
    ]
