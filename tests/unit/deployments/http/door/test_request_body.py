"""Bodies that stall, that come slowly, and those of clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from deployments.http import problems
from deployments.http.door.request_body import BodyGuard, BodyPace

PACE = BodyPace(allowance_s=0.2, bytes_per_s=1000)


async def read(request: StarletteRequest) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def ignore(request: StarletteRequest) -> Response:
    return PlainTextResponse("read nothing", 401)


def starlette_app() -> ASGIApp:
    faults = Middleware(ServerErrorMiddleware, handler=problems.answer_fault)
    routes = [
        Route("/", problems.answering(read), methods=["POST"], middleware=[faults]),
        Route("/ignored", ignore, methods=["POST"]),
    ]
    return Starlette(routes=routes)


def fastapi_app() -> ASGIApp:
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def take(content: dict[str, int], request: Request) -> int:
        return len(content)

    return app


async def answers(
    app: ASGIApp, parts: Sequence[tuple[float, bytes]], *, size: int, leaves: bool = False, path: str = "/"
) -> list[Message]:
    """Send parts of a body, each so many seconds after the last; then nothing, or the client leaves."""
    sent: list[Message] = []
    coming = iter(parts)
    received = 0

    async def receive() -> Message:
        nonlocal received
        for after_s, body in coming:
            await asyncio.sleep(after_s)
            received += len(body)
            return {"type": "http.request", "body": body, "more_body": received < size}
        if leaves:
            return {"type": "http.disconnect"}
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", str(size).encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await BodyGuard(app, PACE)(scope, receive, send)
    return sent


def told(messages: Sequence[Message]) -> tuple[int, str, str | None]:
    """Return status, the kind of problem and the connection header."""
    start, *rest = messages
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert sum(message["type"] == "http.response.start" for message in messages) == 1
    body = b"".join(message.get("body", b"") for message in rest)
    kind = orjson.loads(body)["type"].rsplit(":", 1)[-1] if "problem" in headers["content-type"] else ""
    return start["status"], kind, headers.get("connection")


APPS = [starlette_app, fastapi_app]


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("parts", [[], [(0, b"x" * 10)]])
async def test_a_body_that_stalls_is_answered_408_and_the_connection_closed(
    app: Callable[[], ASGIApp], parts: list[tuple[float, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    assert told(await answers(app(), parts, size=100)) == (408, "request-timeout", "close")
    assert not caplog.records


@pytest.mark.parametrize("app", APPS)
async def test_a_client_that_leaves_is_no_fault(
    app: Callable[[], ASGIApp], caplog: pytest.LogCaptureFixture
) -> None:
    """It was a 500 with a traceback."""
    sent = await answers(app(), [(0, b"x" * 10)], size=100, leaves=True)
    assert told(sent) == (499, "client-left", "close")
    assert not caplog.records


async def test_a_slow_honest_body_passes_however_long_it_takes() -> None:
    parts = [(0.05, b"x" * 100)] * 12
    status, _, connection = told(await answers(starlette_app(), parts, size=1200))
    assert (status, connection) == (200, None)


async def test_a_body_that_drips_is_ended() -> None:
    assert told(await answers(starlette_app(), [(0.05, b"x")] * 100, size=100))[0] == 408


async def test_an_answer_before_the_body_closes_the_connection() -> None:
    assert told(await answers(starlette_app(), [], size=100, path="/ignored")) == (401, "", "close")


async def test_an_error_of_the_application_is_raised_as_it_is() -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        await answers(broken, [], size=100)
