"""The limits of Serve's own proxy: heads that do not come, headers that it would fail at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http import auto

from deployments.http.door.plain_proxy import clean_headers, limit_time_of_heads
from tests.support.front_door import ask, connections


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ([(b"x-request-id", b"mine")], 1),
        ([(b"x-request-id", b"\xe9")], 0),
        ([(b"x-request-id", b"a b")], 0),
        ([(b"x-request-id", b"")], 0),
        ([(b"x-request-id", b"x" * 129)], 0),
        ([(b"x-request-id", b"a"), (b"x-request-id", b"b")], 0),
        ([(b"x-request-timeout-seconds", b"2.5")], 1),
        ([(b"x-request-timeout-seconds", b"\xff")], 0),
        ([(b"x-request-disconnect-disabled", b"?1")], 1),
        ([(b"x-session-id", b"mine"), (b"serve_multiplexed_model_id", b"m")], 0),
        ([(b"x-other", b"\xe9")], 1),
    ],
)
def test_what_serve_reads_is_ascii_and_short(headers: list[tuple[bytes, bytes]], left: int) -> None:
    assert len(clean_headers(headers)) == left


NAMES = st.sampled_from([b"x-request-id", b"x-request-timeout-seconds", b"x-session-id", b"accept"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=5))
def test_whatever_comes_serve_can_decode_what_it_reads(headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in clean_headers(headers):
        if name != b"accept":
            assert len(value.decode("utf-8")) <= 128


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)  # put back at the end
    limit_time_of_heads(0.4)
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest.mark.parametrize("parts", [[], [b"GET / HTTP/1.1\r\nHost: "], [b"GET / HTTP/1.1\r\n", b"A: b\r\n"]])
async def test_half_a_head_is_ended(port: int, parts: Sequence[bytes]) -> None:
    async with connections(port) as ((reader, writer),):
        began_s = time.monotonic()
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.1)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert 0.3 < time.monotonic() - began_s < 3
        assert (await ask(port, "/")).status == 200


async def test_the_second_head_of_a_connection_has_its_own_time(port: int) -> None:
    async with connections(port) as ((reader, writer),):
        for _ in range(4):
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert b"hello" in await reader.read(1000)
            await asyncio.sleep(0.2)
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
