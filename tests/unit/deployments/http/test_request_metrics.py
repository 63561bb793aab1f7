"""Requests are counted as they were answered, and how long each took."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.actors.router_metrics import router_samples
from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.downstream import DownstreamError
from deployments.domain.errors import (
    ClientLeft,
    Conflict,
    IdInUse,
    InvalidFields,
    MalformedJson,
    NoArmAvailable,
    NotFound,
    Overloaded,
    TooLarge,
    TooManyFailures,
    TooSlow,
    Unauthorized,
    Unavailable,
    UnknownEncoding,
)
from deployments.http.auth import KeyGuard
from deployments.http.problems import FORESEEN, problem_kind, problem_response
from deployments.http.request_metrics import RequestCounts, RequestMetricsMiddleware
from deployments.telemetry.metrics.catalogue import DURATION_BOUNDS_S, ERROR_KINDS
from deployments.telemetry.metrics.error_kinds import error_kind
from deployments.telemetry.metrics.export import EXPORTED, CountsExport
from deployments.telemetry.metrics.samples import Buckets, Samples
from features.errors import FieldError, InvalidInput, SchemaVersionError
from tests.support.conditions import wait_for
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import POLICY, LocalSystem

BODY = instance_of(apogee_contract(), fly(5)[0][105:160], "A12")
KEY = {"Authorization": "Bearer right"}


@pytest.fixture
def counts() -> RequestCounts:
    return RequestCounts()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


@pytest.fixture
async def client(system: LocalSystem, counts: RequestCounts) -> AsyncIterator[httpx.AsyncClient]:
    await system.stack.follower.poll()
    transport = httpx.ASGITransport(RequestMetricsMiddleware(KeyGuard(system.app, "right"), counts))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=KEY) as client:
        yield client
    await system.stack.close()


async def test_each_request_is_counted_by_call_status_and_kind(
    client: httpx.AsyncClient, counts: RequestCounts
) -> None:
    for content in (BODY, BODY | {"samples": []}, BODY | {"schema_version": "0.1"}, "{"):
        body = content if isinstance(content, str) else orjson.dumps(content)
        await client.post("/predict", content=body)
    await client.post("/batch_predict", json={"instances": [BODY, BODY]})
    await client.post("/feedback", json={"id": "1", "truth": {"apogee_m": 1.0}})
    await client.post("/predict", json=BODY, headers={"Authorization": "Bearer wrong"})
    for path in ("/info", "/nowhere", "/predict"):
        await client.get(path)
    assert counts.requests == {
        ("predict", 200): 1,
        ("predict", 422): 1,
        ("predict", 409): 1,
        ("predict", 400): 1,
        ("predict", 401): 1,
        ("batch_predict", 200): 1,
        ("feedback", 202): 1,
        ("other", 200): 1,
        ("other", 404): 1,
        ("other", 405): 1,
    }
    assert counts.errors == {
        ("predict", "invalid"): 1,
        ("predict", "schema_version"): 1,
        ("predict", "malformed"): 1,
        ("predict", "unauthorized"): 1,
        ("other", "not_found"): 1,
        ("other", "other"): 1,
    }
    assert [durations.buckets().counts[-1] for durations in counts.durations.values()] == [5, 1, 1, 3]


def answering(error: Exception) -> ASGIApp:
    return problem_response(error)


def starting(status: int, then: BaseException) -> ASGIApp:
    """Begins an answer with this status, 0 for none, and does not end it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if status:
            await send({"type": "http.response.start", "status": status, "headers": []})
        raise then

    return app


@pytest.mark.parametrize(
    ("app", "status", "kind"),
    [
        (answering(Overloaded("full")), 503, "overload"),
        (answering(NoArmAvailable("none")), 503, "unavailable"),
        (answering(TooLarge("64 MiB")), 413, "too_large"),
        (answering(Conflict("2, not 1")), 409, "conflict"),
        (answering(RuntimeError("secret")), 500, "fault"),
        (starting(500, RuntimeError("secret")), 500, "fault"),
        (starting(0, RuntimeError("secret")), 500, "fault"),
        # a batch that was cut off has been answered 200
        (starting(200, NoArmAvailable("none")), 200, "unavailable"),
        (starting(500, ClientDisconnect()), 499, "client_left"),
        (starting(0, asyncio.CancelledError()), 499, "client_left"),
    ],
)
async def test_what_fails_is_of_a_kind(app: ASGIApp, status: int, kind: str, counts: RequestCounts) -> None:
    async def send(message: Message) -> None: ...

    scope: Scope = {"type": "http", "method": "POST", "path": "/w/predict", "root_path": "/w"}
    with suppress(RuntimeError, NoArmAvailable, ClientDisconnect, asyncio.CancelledError):
        await RequestMetricsMiddleware(app, counts)(scope, send, send)  # type: ignore[arg-type]
    assert counts.requests == {("predict", status): 1}
    assert counts.errors == {("predict", kind): 1}


async def test_a_service_that_says_it_is_not_ready_has_answered(
    counts: RequestCounts, system: LocalSystem
) -> None:
    system.downstream.down = {"mlp"}
    await system.stack.follower.poll()
    transport = httpx.ASGITransport(RequestMetricsMiddleware(system.app, counts))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/healthz")).status_code == 503
    assert counts.requests == {("other", 503): 1}
    assert counts.errors == {}


def test_every_foreseen_problem_has_a_kind() -> None:
    errors: list[Exception] = [
        *(FieldError("Age", 7, "more"), SchemaVersionError("0.9", "1.0"), InvalidInput("no"), NotFound("no")),
        *(
            MalformedJson("{"),
            UnknownEncoding("gzip"),
            TooLarge("11"),
            Unauthorized("no"),
            Conflict("2"),
            IdInUse("mine"),
            Overloaded("full"),
        ),
        *(InvalidFields((FieldError("a", 1, "2"), FieldError("b", 1, "2"))), Unavailable("away")),
        *(ClientLeft("gone"), TooSlow("3 bytes"), TooManyFailures("many", 10)),
    ]
    assert {type(error) for error in errors} == set(FORESEEN)
    kinds = {error_kind(problem_kind(error)) for error in errors}
    assert kinds == set(ERROR_KINDS) - {"fault"}
    assert error_kind("im-a-teapot") == error_kind("") == "other"


async def test_durations_fall_into_their_buckets(counts: RequestCounts) -> None:
    times_s = iter((0.0, 0.001, 10.0, 10.0041, 20.0, 30.0))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None: ...

    measured = RequestMetricsMiddleware(app, counts, clock=lambda: next(times_s))
    for _ in range(3):
        await measured({"type": "http", "method": "POST", "path": "/predict"}, send, send)  # type: ignore[arg-type]
    buckets = counts.durations["predict"].buckets()
    found = dict(zip((*DURATION_BOUNDS_S, None), buckets.counts, strict=True))
    assert (found[0.001], found[0.003], found[0.005], found[5.0], found[None]) == (1, 1, 2, 2, 3)
    assert buckets.sum == pytest.approx(10.0051)
    assert sum(0.001 <= bound_s <= 0.1 for bound_s in DURATION_BOUNDS_S) == 12


async def test_a_replica_exports_what_its_arms_did(system: LocalSystem, counts: RequestCounts) -> None:
    stack, breaker = system.stack, BreakerSettings(failures_to_open=3, open_s=1e6)
    policy = POLICY.model_copy(update={"breaker": breaker})
    system.store.put_policy(system.contract.workload, policy)
    system.downstream.down.add("mlp")
    async with system.http() as client:
        answers = [await client.post("/predict", json=BODY | {"flight_id": f"f{n}"}) for n in range(12)]
        answers += [await client.post("/predict", json=BODY, headers={"Raysonde-Arm": "linear"})]
        await client.post("/feedback", json={"id": answers[0].json()["id"], "truth": {"apogee_m": 1.0}})
        found: Samples = pickle.loads(pickle.dumps(router_samples(stack, counts, {"direct": 3})))
        ready = found.values("raysonde_arm_ready")
    recorded = [answer.json() for answer in answers]
    by_arm = {arm: sum(one["arm"] == arm for one in recorded) for arm in system.versions}
    fallbacks = {
        arm: sum(one["fallback"] for one in recorded if one["arm"] == arm) for arm in system.versions
    }
    assert sum(fallbacks.values()) > 0
    assert by_arm["mlp"] == 0

    def of(name: str) -> dict[str, object]:
        return {arm: value for (arm,), value in found.values(name).items()}

    assert of("raysonde_predictions_total") == by_arm
    assert of("raysonde_fallbacks_total") == fallbacks
    assert sum(fallbacks.values()) > breaker.failures_to_open
    # once its breaker is open, nothing is asked of it
    assert of("raysonde_arm_failures_total") == {
        "linear": 0,
        "mlp": breaker.failures_to_open,
        "random_forest": 0,
    }
    assert of("raysonde_breaker_open") == {"linear": 0.0, "mlp": 1.0, "random_forest": 0.0}
    assert of("raysonde_scaler_calls_total") == {"direct": 3, "serve": 0}
    assert of("raysonde_arm_calls_in_flight") == dict.fromkeys(("linear", "mlp", "random_forest"), 0)
    assert dict(ready) == {("linear",): 1.0, ("mlp",): 0.0, ("random_forest",): 1.0}
    assert found.values("raysonde_truths_total")["accepted",] == 1
    assert found.values("raysonde_predicted_classes_total") == {}


async def test_rows_that_wait_and_calls_in_flight_are_exported(
    system: LocalSystem, counts: RequestCounts
) -> None:
    stack, gate = system.stack, asyncio.Event()
    await stack.follower.poll()
    system.downstream.before_call = gate.wait
    body = orjson.dumps(BODY)
    tasks = []

    def are_known(rows: int) -> bool:
        now = router_samples(stack, counts, {"direct": 3})
        names = ("raysonde_arm_calls_in_flight", "raysonde_queue_rows")
        recorded = (now.values(name).get(("linear",), 0) for name in names)
        return sum(value for value in recorded if isinstance(value, int | float)) == rows

    for rows in range(1, 5):
        tasks.append(asyncio.create_task(stack.service.predict(body, "linear")))
        await wait_for(partial(are_known, rows))
    found = router_samples(stack, counts, {"direct": 3})
    gate.set()
    await asyncio.gather(*tasks)
    after = router_samples(stack, counts, {"direct": 3})
    assert [one.values("raysonde_arm_calls_in_flight")["linear",] for one in (found, after)] == [2, 0]
    assert [one.values("raysonde_queue_rows")["linear",] for one in (found, after)] == [2, 0]
    assert after.values("raysonde_journal_backlog_rows") == {(): 4}
    await stack.close()
    assert router_samples(stack, counts, {"direct": 3}).values("raysonde_journal_backlog_rows") == {(): 0}


async def test_a_call_that_fails_is_under_way_no_more(system: LocalSystem) -> None:
    system.downstream.down.add("mlp")
    with pytest.raises(DownstreamError):
        await system.stack.calls("mlp", system.versions["mlp"], system.parts["mlp"].golden.raw[:1])
    assert system.stack.calls.by_arm["mlp"] == 0


class CounterRecorder:
    """A counter that remembers."""

    def __init__(self) -> None:
        self.recorded: list[tuple[float, dict[str, str]]] = []

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.recorded.append((value, tags))


def test_another_library_gets_what_is_new() -> None:
    counters = {metric.name: CounterRecorder() for metric in EXPORTED}
    export = CountsExport("toy", counters)

    def read(errors: int, rows: int) -> Samples:
        samples = Samples()
        samples.put("raysonde_errors_total", errors, "predict", "fault")
        samples.put("raysonde_errors_total", 0, "predict", "invalid")
        samples.put("raysonde_journal_dropped_rows_total", rows)
        return samples

    for samples in (read(0, 0), read(3, 0), read(3, 0), read(4, 7)):
        export.export(samples)
    tags = {"workload": "toy", "call": "predict", "kind": "fault"}
    assert counters["raysonde_errors_total"].recorded == [(3, tags), (1, tags)]
    assert counters["raysonde_journal_dropped_rows_total"].recorded == [(7, {"workload": "toy"})]


def test_a_metric_outside_the_catalogue_is_rejected() -> None:
    samples = Samples()
    with pytest.raises(ValueError, match="got 'raysonde_nothing', expected one of the catalogue"):
        samples.put("raysonde_nothing", 1)
    with pytest.raises(ValueError, match=r"expected values of \('arm',\)"):
        samples.put("raysonde_queue_rows", 1)
    with pytest.raises(ValueError, match="expected the value of a histogram"):
        samples.put("raysonde_request_duration_seconds", 1, "predict")
    with pytest.raises(ValueError, match="expected the value of a gauge"):
        samples.put("raysonde_queue_rows", Buckets((1.0,), (1, 2)), "mlp")
