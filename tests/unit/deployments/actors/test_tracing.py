"""Spans from the routes to the arms, and nothing of them where nobody wants any."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind

from deployments.actors import tracing_sdk as spans_module
from deployments.actors.tracing import is_wanted, open_tracing_if_wanted
from deployments.actors.tracing_sdk import SpanTracing, open_tracing
from deployments.domain.errors import Overloaded
from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.runtime.batching import Coalescer
from deployments.runtime.logs import configure_json_logs
from deployments.telemetry.tracing.api import NO_TRACING
from deployments.telemetry.tracing.export import SpanFile, make_provider
from tests.support.conditions import wait_for
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.traces import CALLER, SAMPLED, TRACE, UNSAMPLED, TracedSystem, ids, linked, parent
from training.runtime.environment import Environment
from training.runtime.settings import REPOSITORY
from training.runtime.tasks.base import ArmAnswer

INSTANCE = instance_of(apogee_contract(), fly(5)[0][105:160], "A12") | {"id": "mine"}
BY_MLP = {"Raysonde-Arm": "mlp"}


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracedSystem]:
    # each replica would take the log of this process for its own
    monkeypatch.setattr("deployments.actors.base.configure_log_file", lambda folder, name: None)
    # only who asks for a trace gets one
    system = TracedSystem(tmp_path, ParentBased(ALWAYS_OFF))
    yield system
    system.system.store.close()


@asynccontextmanager
async def calling(traced: TracedSystem) -> AsyncIterator[httpx.AsyncClient]:
    await traced.stack.follower.poll()
    transport = httpx.ASGITransport(traced.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await traced.stack.close()


async def test_a_trace_goes_on_from_the_caller_to_the_arm(traced: TracedSystem) -> None:
    async with calling(traced) as client:
        answer = (await client.post("/predict", json=INSTANCE, headers=SAMPLED | BY_MLP)).json()
    spans = traced.spans()
    assert {ids(span)[0] for span in spans.values()} == {TRACE}
    names = {ids(span)[1]: name for name, span in spans.items()} | {CALLER: "caller"}
    assert {name: names[str(parent(span))] for name, span in spans.items()} == {
        "POST /apogee/predict": "caller",
        "wait": "POST /apogee/predict",
        "ask mlp": "POST /apogee/predict",
        "scaler": "ask mlp",
        "scale": "scaler",
        "arm": "scaler",
    }
    assert dict(spans["POST /apogee/predict"].attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/apogee/predict",
        "http.response.status_code": 200,
        "raysonde.workload": "apogee",
        "raysonde.rows": 1,
        "raysonde.prediction.id": "mine",
        "raysonde.arm": "mlp",
        "raysonde.model_version": answer["model_version"],
        "raysonde.fallback": False,
    }
    assert dict(spans["arm"].attributes or {}) == {
        "raysonde.workload": "apogee",
        "raysonde.arm": "mlp",
        "raysonde.rows": 1,
    }
    assert [spans[name].kind for name in ("POST /apogee/predict", "ask mlp", "arm")] == [
        SpanKind.SERVER,
        SpanKind.CLIENT,
        SpanKind.SERVER,
    ]


@pytest.mark.parametrize("headers", [{}, UNSAMPLED, {"traceparent": "nonsense"}])
async def test_what_is_not_sampled_leaves_nothing_and_is_passed_to_nobody(
    traced: TracedSystem, headers: dict[str, str]
) -> None:
    asked: list[Any] = []
    predict = traced.scaler.replica.predict

    async def note(batch: Any) -> Any:
        asked.append(batch.trace)
        return await predict(batch)

    async with calling(traced) as client:
        traced.scaler.replica.predict = note
        assert (await client.post("/predict", json=INSTANCE, headers=headers)).status_code == 200
    assert traced.spans() == {}
    assert asked == [None]


async def test_a_call_that_serves_many_is_linked_with_all_of_them(traced: TracedSystem) -> None:
    others = [f"{number:032x}" for number in (1, 2)]
    headers = [SAMPLED, *({"traceparent": f"00-{trace}-{CALLER}-01"} for trace in others), {}]
    async with calling(traced) as client:
        await asyncio.gather(
            *(client.post("/predict", json=INSTANCE, headers=sent | BY_MLP) for sent in headers)
        )
    spans = traced.exporter.get_finished_spans()
    requests = {ids(span)[0]: span for span in spans if span.name.startswith("POST")}
    (ask,) = [span for span in spans if span.name == "ask mlp"]
    assert requests.keys() == {TRACE, *others}  # and not the fourth
    assert ask.attributes is not None
    assert ask.attributes["raysonde.rows"] == 4
    assert (ids(ask)[0], parent(ask)) == ids(requests[TRACE])
    assert linked(ask) == [ids(requests[trace]) for trace in others]
    assert [linked(requests[trace]) for trace in (TRACE, *others)] == [[], [ids(ask)], [ids(ask)]]
    assert sorted(ids(span)[0] for span in spans if span.name == "wait") == sorted([TRACE, *others])
    assert [span.name for span in spans].count("arm") == 1


async def test_every_member_of_an_ensemble_has_its_own_call(traced: TracedSystem) -> None:
    policy = RoutingPolicy(
        weights={"mlp": 1.0}, ensembles={"blend": {"arms": ["mlp", "linear"]}}, fallback=("mlp", "linear")
    )
    async with calling(traced) as client:
        await traced.stack.follower.put_policy(policy)
        await traced.stack.follower.poll()
        headers = SAMPLED | {"Raysonde-Arm": "blend"}
        assert (await client.post("/predict", json=INSTANCE, headers=headers)).status_code == 200
    spans = {span.name: span for span in traced.exporter.get_finished_spans()}
    request = ids(spans["POST /apogee/predict"])[1]
    assert parent(spans["ask mlp"]) == parent(spans["ask linear"]) == request


async def test_a_batch_is_one_request(traced: TracedSystem) -> None:
    many = {"instances": [INSTANCE | {"id": str(number)} for number in range(5)]}
    async with calling(traced) as client:
        answer = await client.post("/batch_predict", json=many, headers=SAMPLED | BY_MLP)
    assert len(answer.json()["predictions"]) == 5
    spans = traced.spans()
    assert set(spans) == {"POST /apogee/batch_predict", "ask mlp", "scaler", "scale", "arm"}
    assert (spans["POST /apogee/batch_predict"].attributes or {})["raysonde.rows"] == 5
    assert parent(spans["ask mlp"]) == ids(spans["POST /apogee/batch_predict"])[1]


async def test_an_arm_that_fails_has_its_span_and_so_has_the_one_in_its_place(traced: TracedSystem) -> None:
    policy = RoutingPolicy(weights={"mlp": 1.0}, fallback=("mlp", "linear"))
    async with calling(traced) as client:
        await traced.stack.follower.put_policy(policy)
        traced.arms["mlp"].error = ValueError("broken")
        assert (await client.post("/predict", json=INSTANCE, headers=SAMPLED)).json()["fallback"]
    spans = {span.name: span for span in traced.exporter.get_finished_spans()}
    assert [spans[name].status.is_ok for name in ("ask mlp", "ask linear", "POST /apogee/predict")] == [
        False,
        True,
        True,
    ]


async def test_what_is_refused_has_its_status_and_a_fault_is_an_error(
    traced: TracedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a secret")

    async with calling(traced) as client:
        await client.post("/predict", json={}, headers=SAMPLED)
        (refused,) = traced.spans().values()
        monkeypatch.setattr(traced.stack.service, "predict", fail)
        await client.post("/predict", json=INSTANCE, headers=SAMPLED)
        (fault,) = traced.spans().values()
    assert (refused.attributes or {})["http.response.status_code"] == 422
    assert (fault.attributes or {})["http.response.status_code"] == 500
    assert (refused.status.is_ok, fault.status.is_ok) == (True, False)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    logger = logging.getLogger("deployments")
    before = logger.handlers, logger.level
    stream = io.StringIO()
    configure_json_logs(stream, "deployments")
    yield stream
    logger.handlers, logger.level = before


async def test_log_lines_have_the_trace(traced: TracedSystem, lines: io.StringIO, tmp_path: Path) -> None:
    # adds the trace to what is logged in this process
    open_tracing(Environment.of({"RAYSONDE_TRACES": str(tmp_path / "traces")}), "apogee", "router").close()
    traced.arms["mlp"].error = ValueError("broken")
    async with calling(traced) as client:
        await traced.stack.follower.put_policy(
            RoutingPolicy(weights={"mlp": 1.0}, fallback=("mlp", "linear"))
        )
        await client.post("/predict", json=INSTANCE, headers=SAMPLED)
        await client.post("/predict", json=INSTANCE | {"id": "untraced"})
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    by_message = {
        message: [(line["request_id"], line.get("trace_id")) for line in found if line["message"] == message]
        for message in ("predicted", "arm failed")
    }
    assert by_message == {message: [("mine", TRACE), ("untraced", None)] for message in by_message}


async def test_a_row_that_is_never_sent_has_waited_all_the_same(traced: TracedSystem) -> None:
    stuck: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    asked: list[str] = []

    def ask(key: str, rows: list[list[int]]) -> asyncio.Future[list[int]]:
        asked.append(key)
        return stuck

    coalescer: Coalescer[str, list[int], int] = traced.tracing.coalescer(ask, max_in_flight=1, max_waiting=1)
    with traced.tracing.called("a", SAMPLED["traceparent"]):
        sent = asyncio.create_task(coalescer.submit("mlp", [1]))
        await wait_for(lambda: len(asked) == 1)
        waiting = asyncio.create_task(coalescer.submit("mlp", [2]))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await coalescer.submit("mlp", [3])
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        stuck.set_result([1])
        assert await sent == 1
    assert [span.name for span in traced.exporter.get_finished_spans()] == ["wait"] * 3 + ["a"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"RAYSONDE_TRACES": "traces"}, True),
    ],
)
def test_traces_are_made_where_they_have_somewhere_to_go(environment: dict[str, str], expected: bool) -> None:
    assert is_wanted(Environment.of(environment)) is expected
    if not expected:
        assert open_tracing_if_wanted(Environment.of(environment), "apogee", "router") is NO_TRACING


def test_without_traces_nothing_that_makes_or_sends_them_is_imported() -> None:
    # OpenTelemetry's interface is imported by FastAPI itself
    code = (
        "import sys, deployments.inference.stack, deployments.actors.feature_scaler\n"
        "import deployments.actors.arm, deployments.http.app\n"
        "from deployments.actors.tracing import open_tracing_if_wanted\n"
        "from training.runtime.environment import Environment\n"
        "open_tracing_if_wanted(Environment.of({}), 'apogee', 'router').close()\n"
        "ours = ('deployments.actors.tracing_sdk', 'deployments.inference.tracing',"
        " 'deployments.http.tracing', 'opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_traces_all_is_as_it_was() -> None:
    async def app(*_: Any) -> None: ...

    async def downstream(
        arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        return []

    assert NO_TRACING.around(app) is app
    assert NO_TRACING.around_downstream(downstream) is downstream
    assert NO_TRACING.coalescer is Coalescer
    with NO_TRACING.called("arm", None, arm="mlp") as trace, NO_TRACING.step("scale", trace):
        assert trace is None


def test_spans_name_their_service_and_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    provider = make_provider(Environment.of({}), "apogee", "mlp", None)
    assert provider.resource.attributes["service.name"] == "mine"
    assert provider.resource.attributes["raysonde.part"] == "mlp"


def test_spans_are_lines_of_json(tmp_path: Path) -> None:
    tracing = open_tracing(Environment.of({"RAYSONDE_TRACES": str(tmp_path)}), "apogee", "mlp")
    with tracing.called("arm", SAMPLED["traceparent"], arm="mlp", rows=3):
        pass
    tracing.close()
    (file,) = tmp_path.glob("apogee-mlp.*.jsonl")
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["trace_id"], line["parent_id"], line["name"], line["kind"]) == (
        TRACE,
        CALLER,
        "arm",
        "server",
    )
    assert (line["workload"], line["part"], line["is_error"], line["links"]) == ("apogee", "mlp", False, [])
    assert line["attributes"] == {"raysonde.workload": "apogee", "raysonde.arm": "mlp", "raysonde.rows": 3}
    assert 0 <= line["duration_ms"] < 1000


def test_a_collector_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    class Hanging(SpanFile):
        def export(self, spans: Any) -> Any:
            released.wait(60)
            return super().export(spans)

    monkeypatch.setattr(spans_module, "_CLOSE_TIMEOUT_S", 0.05)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Hanging(tmp_path, "hanging")))
    tracing = SpanTracing(provider, "apogee")
    with tracing.called("arm", SAMPLED["traceparent"]):
        pass
    tracing.close()
    assert not list(tmp_path.glob("*.jsonl")) or all(not file.read_text() for file in tmp_path.iterdir())
    released.set()
