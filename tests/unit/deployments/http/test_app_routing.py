"""The stack of a workload: what Starlette dispatches is answered as FastAPI would, message by message."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp, Message, Scope

from deployments.http.app import build_api, build_app, route_requests
from deployments.http.request_metrics import RequestCounts
from deployments.inference.dispatcher import BatchPacing
from deployments.requests.json_bodies import MAX_INSTANCE_BYTES
from deployments.telemetry.tracing.api import NO_TRACING
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import ARMS, LocalSystem

CONTRACT = apogee_contract()
INSTANCE = instance_of(CONTRACT, fly(5)[0][105:160], "A12") | {"id": "mine"}
BODY = orjson.dumps(INSTANCE)


@dataclass(frozen=True)
class Request:
    """Of a client; `parts` are of the body, and a client may leave before it has sent all of them."""

    path: str = "/predict"
    parts: Sequence[bytes] = (BODY,)
    method: str = "POST"
    headers: Sequence[tuple[bytes, bytes]] = ()
    root_path: str = ""
    leaves: bool = False


@dataclass
class Heard:
    """What a client and the server behind the application get."""

    messages: list[Message] = field(default_factory=list)
    fault: str | None = None


async def heard(app: ASGIApp, request: Request) -> Heard:
    parts: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in request.parts
    ]
    last: Message = {"type": "http.disconnect"} if request.leaves else {"type": "http.request"}
    incoming = iter([*parts, last])
    scope = {
        "type": "http",
        "method": request.method,
        "path": request.root_path + request.path,
        "root_path": request.root_path,
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"here:8000"), *request.headers],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }
    result = Heard()

    async def receive() -> Message:
        for message in incoming:
            return message
        return await asyncio.Future()  # a client that listens

    async def send(message: Message) -> None:
        result.messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - the server logs whatever it is
        result.fault = repr(error)
    return result


def batch(*instances: Any) -> tuple[bytes]:
    return (orjson.dumps({"instances": instances}),)


def truth(*values: float) -> tuple[bytes]:
    items = [{"id": "mine", "truth": {"apogee_m": value}} for value in values]
    return (orjson.dumps({"items": items}),)


def arm(*names: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"raysonde-arm", name) for name in names]


REQUESTS = {
    "good": (200, Request()),
    "in parts": (200, Request(parts=(BODY[:100], b"", BODY[100:]))),
    "mounted": (200, Request(root_path="/apogee")),
    "arm": (200, Request(headers=arm(b"linear"))),
    "first of two arms": (200, Request(headers=arm(b"mlp", b"linear"))),
    "length": (200, Request(headers=[(b"content-length", str(len(BODY)).encode())])),
    "batch": (200, Request("/batch_predict", batch(INSTANCE, INSTANCE | {"id": "other"}))),
    "batch by arm": (200, Request("/batch_predict", batch(INSTANCE), headers=arm(b"mlp"))),
    "no json": (400, Request(parts=(b"{",))),
    "no body": (400, Request(parts=())),
    "unknown arm": (422, Request(headers=arm("é".encode("latin-1")))),
    "empty arm": (422, Request(headers=arm(b""))),
    "schema": (409, Request(parts=(orjson.dumps(INSTANCE | {"schema_version": "9"}),))),
    "field": (422, Request(parts=(orjson.dumps(INSTANCE | {"extra": 1}),), root_path="/apogee")),
    "fields": (422, Request(parts=(b"{}",))),
    "same id twice": (422, Request("/batch_predict", batch(INSTANCE, INSTANCE))),
    "empty batch": (422, Request("/batch_predict", batch())),
    "too long": (413, Request(parts=(b" " * MAX_INSTANCE_BYTES, b" "))),
    "declared too long": (413, Request(headers=[(b"content-length", b"99999999")])),
    "odd length": (200, Request(headers=[(b"content-length", b"-1")])),
    "gone": (499, Request(parts=(BODY[:100],), leaves=True)),
    "truth": (202, Request("/feedback", truth(1280.0))),
    "conflicting truth": (202, Request("/feedback", truth(1280.0, 1290.0))),
    "impossible truth": (422, Request("/feedback", truth(-1.0), root_path="/apogee")),
    "truth without json": (400, Request("/feedback", (b"{",))),
    "other method": (405, Request(method="GET")),
    "head": (405, Request(method="HEAD", parts=())),
    "other method of truths": (405, Request("/feedback", method="PUT", root_path="/apogee")),
    "options": (405, Request("/batch_predict", method="OPTIONS")),
    "slash": (307, Request("/predict/")),
    "slash when mounted": (307, Request("/feedback/", root_path="/apogee")),
    "slash of another route": (307, Request("/info/", method="GET", root_path="/apogee")),
    "two slashes": (404, Request("//predict")),
    "longer path": (404, Request("/predict/more")),
    "other case": (404, Request("/Predict")),
    "no such path": (404, Request("/nothing")),
    "no such path when mounted": (404, Request("/nothing", root_path="/apogee")),
    "root": (404, Request("/", root_path="/apogee")),
    "bare prefix": (404, Request("", root_path="/apogee", method="GET")),
    "documentation": (200, Request("/openapi.json", method="GET")),
    "page of documentation": (200, Request("/docs", method="GET", root_path="/apogee")),
    "other route": (200, Request("/info", method="GET")),
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="module")
def api(system: LocalSystem) -> ASGIApp:
    return build_api(system.stack)


@pytest.fixture
async def fastapi(system: LocalSystem, api: ASGIApp) -> ASGIApp:
    await system.stack.follower.poll()
    await system.stack.service.take_truths(*truth(1280.0))  # so that each of two equal requests repeats it
    system.downstream.down.clear()
    return api


@pytest.mark.parametrize("name", REQUESTS)
async def test_both_answer_alike(system: LocalSystem, fastapi: ASGIApp, name: str) -> None:
    status, request = REQUESTS[name]
    answer = await heard(system.app, request)
    assert answer == await heard(fastapi, request)
    assert answer.messages[0]["status"] == status
    assert (answer.fault is None) == (status not in (499, 500))  # the front of the stack catches the former
    await system.stack.close()


async def test_both_say_alike_when_to_come_back(system: LocalSystem, fastapi: ASGIApp) -> None:
    system.downstream.down = set(ARMS)
    answer = await heard(system.app, Request())
    assert answer == await heard(fastapi, Request())
    assert answer.messages[0]["status"] == 503
    assert (b"retry-after", b"1") in answer.messages[0]["headers"]


async def test_a_fault_is_answered_logged_and_handed_on_alike(
    system: LocalSystem, fastapi: ASGIApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(system.stack.service, "predict", fail)
    answer = await heard(system.app, Request())
    assert answer == await heard(fastapi, Request())
    assert answer.messages[0]["status"] == 500
    assert b"secret" not in answer.messages[1]["body"]
    assert answer.fault == "RuntimeError('a secret')"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["fault at /predict"] * 2


@asynccontextmanager
async def paced_system(folder: Path, pacing: BatchPacing) -> AsyncIterator[LocalSystem]:
    """A system of its own, on the routing table."""
    paced = LocalSystem(folder, pacing=pacing)
    await paced.stack.follower.poll()
    yield paced
    await paced.stack.close()
    paced.store.close()


async def test_a_batch_is_answered_part_by_part_in_order(tmp_path: Path) -> None:
    many = batch(*(INSTANCE | {"id": str(number)} for number in range(5)))
    async with paced_system(tmp_path, BatchPacing(part_rows=2)) as system:
        answer = await heard(system.app, Request("/batch_predict", many))
        assert answer == await heard(build_api(system.stack), Request("/batch_predict", many))
    bodies = [message["body"] for message in answer.messages[1:]]
    assert [part.count(b'"id"') for part in bodies] == [2, 2, 1, 0, 0]
    assert [one["id"] for one in orjson.loads(b"".join(bodies))["predictions"]] == list("01234")


async def test_a_batch_that_fails_after_its_first_part_is_cut_short(tmp_path: Path) -> None:
    many = batch(*(INSTANCE | {"id": str(number)} for number in range(5)))
    calls = 0
    async with paced_system(tmp_path, BatchPacing(part_rows=1)) as system:

        async def fail_after_two() -> None:
            nonlocal calls
            calls += 1
            system.downstream.down = set(ARMS) if calls > 2 else set()

        system.downstream.before_call = fail_after_two
        answer = await heard(system.app, Request("/batch_predict", many))
    assert answer.messages[0]["status"] == 200
    assert b"".join(message["body"] for message in answer.messages[1:]).count(b'"id"') == 2
    assert answer.messages[-1]["more_body"]
    assert answer.fault is not None
    assert "no arm answered" in answer.fault


async def test_others_have_their_turns_while_a_batch_is_read(tmp_path: Path) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    wrong = batch(*(INSTANCE | {"id": str(number)} for number in range(20)), {})
    async with paced_system(tmp_path, BatchPacing(turn_s=0.0)) as system:
        counting = asyncio.create_task(count())
        answer = await heard(system.app, Request("/batch_predict", wrong))
        counting.cancel()
    assert answer.messages[0]["status"] == 422
    assert turns >= 20


@pytest.mark.usefixtures("fastapi")
async def test_predictions_and_truths_do_not_reach_fastapi(system: LocalSystem) -> None:
    async def nowhere(*_: Any) -> None:
        raise AssertionError("passed on")

    app = route_requests(system.stack.service, nowhere)
    for name in ("good", "mounted", "batch", "no json", "conflicting truth"):
        answer = await heard(app, REQUESTS[name][1])
        assert answer.fault is None
    assert (await heard(app, Request("/info", method="GET"))).fault == "AssertionError('passed on')"
    await system.stack.close()


async def test_the_lifespan_of_the_application_is_answered(system: LocalSystem) -> None:
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await stack(system, RequestCounts())({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_there_are_no_websockets(system: LocalSystem) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    for path in ("/predict", "/info"):
        scope: Scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "scheme": "ws"}
        await system.app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"] * 2


@pytest.mark.usefixtures("fastapi")
async def test_the_key_stands_before_all_routes_and_the_counts_before_the_key(system: LocalSystem) -> None:
    counts = RequestCounts()
    app = stack(system, counts)
    sent = [(b"authorization", b"Bearer the-key")]
    for name in ("good", "no json", "other route", "other method", "no such path"):
        status, request = REQUESTS[name]
        assert (await heard(app, request)).messages[0]["status"] == 401
        answer = await heard(app, replace(request, headers=sent))
        assert answer.messages[0]["status"] == status
    assert counts.requests == {
        ("predict", 401): 2,
        ("predict", 200): 1,
        ("predict", 400): 1,
        ("other", 401): 3,
        ("other", 200): 1,
        ("other", 404): 1,
        ("other", 405): 1,
    }
    await system.stack.close()


@pytest.mark.usefixtures("fastapi")
async def test_a_fault_behind_fastapi_is_logged_once(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(system.stack.follower, "cards", fail)
    answer = await heard(system.app, Request("/info", method="GET"))
    assert answer.messages[0]["status"] == 500
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["fault at /info"]


def stack(system: LocalSystem, counts: RequestCounts) -> ASGIApp:
    """The whole application of a router replica."""
    api = build_api(system.stack)
    return build_app(system.stack, api, "the-key", counts, NO_TRACING, open_on_loopback=False).asgi


async def test_the_front_of_the_stack(system: LocalSystem) -> None:
    """Readiness without a key, HEAD, a client that leaves, headers of a refused request."""
    await system.stack.follower.poll()
    counts = RequestCounts()
    app = build_app(
        system.stack, build_api(system.stack), "the-key", counts, NO_TRACING, open_on_loopback=False
    ).asgi
    ready = await heard(app, Request("/-/ready", (), "GET", root_path="/apogee"))
    assert ready.messages[0]["status"] == 200
    system.downstream.down = set(ARMS)
    await asyncio.sleep(1.1)  # an answer stands for a second
    assert (await heard(app, Request("/-/ready", (), "HEAD"))).messages[0]["status"] == 503
    system.downstream.down = set()
    key = (b"authorization", b"Bearer the-key")
    size = (b"content-length", b"500")
    left = await heard(app, Request(parts=(BODY[:100],), headers=[key, size], leaves=True))
    assert (left.messages[0]["status"], left.fault) == (499, None)
    assert counts.errors == {("predict", "client_left"): 1}
    head = await heard(app, Request("/healthz", (), "HEAD", [key]))
    assert (head.messages[0]["status"], head.messages[1]["body"]) == (200, b"")
    refused = await heard(app, Request(parts=(), headers=[size]))
    assert refused.messages[0]["status"] == 401
    assert {(b"connection", b"close"), (b"x-content-type-options", b"nosniff")} <= set(
        refused.messages[0]["headers"]
    )
    await system.stack.close()
