"""Requests that are answered by an error have a line in the log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deployments.domain.errors import NoArmAvailable
from deployments.http import problems
from deployments.http.error_log import ErrorLog
from deployments.runtime.logs import configure_json_logs
from features.errors import FieldError


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    logger = logging.getLogger("deployments.http.error_log")
    made = io.StringIO()
    configure_json_logs(made, "deployments.http.error_log")
    yield made
    logger.handlers = []


async def answers(stream: io.StringIO, path: str, **options: Any) -> tuple[int, list[dict[str, Any]]]:
    async def fine(request: Request) -> Response:
        return PlainTextResponse("fine")

    async def wrong(request: Request) -> Response:
        raise FieldError("samples[3].altitude_m", -5.0, "a number of at least 0 m")

    async def away(request: Request) -> Response:
        raise NoArmAvailable("apogee: no arm answered")

    app = Starlette(routes=[Route("/fine", fine), Route("/wrong", wrong), Route("/away", away)])
    problems.install(app)
    clock = iter([10.0, 10.00125])
    log = ErrorLog(
        app, "apogee", lambda: "cafe", lambda: next(clock), lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(log), base_url="http://test") as client:
        status = (await client.get(path, **options)).status_code
    log.flush()
    return status, [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_what_is_refused_is_a_warning_with_the_field(stream: io.StringIO) -> None:
    status, (line,) = await answers(stream, "/wrong", headers={"x-request-id": "r1"})
    assert status == 422
    assert list(line.items()) == [
        ("time", "2026-01-01T00:00:00.000+00:00"),
        ("level", "warning"),
        ("logger", "deployments.http.error_log"),
        ("message", "not answered"),
        ("http_request_id", "r1"),
        ("trace_id", "cafe"),
        ("workload", "apogee"),
        ("client", "127.0.0.1"),
        ("path", "/wrong"),
        ("status", 422),
        ("kind", "invalid-field"),
        ("field", "samples[3].altitude_m"),
        ("detail", "samples[3].altitude_m: got -5.0, expected a number of at least 0 m"),
        ("latency_ms", 1.25),
    ]


async def test_what_a_caller_chooses_is_cut(stream: io.StringIO) -> None:
    _, (line,) = await answers(stream, "/nothing/" + "x" * 5000, headers={"x-request-id": "i" * 5000})
    assert (len(line["path"]), len(line["http_request_id"])) == (200, 200)
    assert len(json.dumps(line)) < 1000


@pytest.mark.parametrize(
    ("path", "level", "kind"), [("/away", "error", "unavailable"), ("/nothing", "warning", "not-found")]
)
async def test_the_kind_is_that_of_the_problem_document(
    stream: io.StringIO, path: str, level: str, kind: str
) -> None:
    _, (line,) = await answers(stream, path)
    assert (line["level"], line["kind"]) == (level, kind)
    assert "http_request_id" not in line


async def test_what_is_answered_has_no_line(stream: io.StringIO) -> None:
    assert await answers(stream, "/fine") == (200, [])
