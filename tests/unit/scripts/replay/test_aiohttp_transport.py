"""The transport of streams, over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from toy.parts import toy_contract

from scripts.replay.aiohttp_transport import StreamTransport
from scripts.replay.client import ApiRefused, Connection, NotRunning, WorkloadClient

TARGET = toy_contract().target

ANSWERS = {
    "/toy/info": b"200 OK\r\ncontent-type: application/json\r\n\r\n" + b'{"arms": {"mlp": {}}}',
    "/toy/predict": b'503 Busy\r\ncontent-type: application/problem+json\r\n\r\n{"detail": "no answer now"}',
}
# what is written as it is, before the connection ends
RAW = {
    "/garbage/info": b"this is no HTTP\r\n\r\n",
    "/cut/info": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "/gone/info": b"",
}


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[str]]]:
    """Its address and what it was sent; it never answers what it does not know."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        path = head.split()[1]
        answer = ANSWERS.get(path)
        if path in RAW:
            writer.write(RAW[path])
        elif answer is None:
            await reader.read()
        else:
            first, body = answer.split(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + first + b"\r\nconnection: close\r\n\r\n" + body)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads


async def test_requests_go_with_their_headers_and_answers_come_whole(server: tuple[str, list[str]]) -> None:
    url, heads = server
    async with Connection(url, "the-key").open(transport=StreamTransport(4)) as http:
        client = WorkloadClient(http, "toy", TARGET)
        assert await client.arms() == ["mlp"]
        with pytest.raises(ApiRefused, match="503: no answer now"):
            await client.predict(b"{}", "mlp")
    info, predict = (head.lower() for head in heads)
    assert "authorization: bearer the-key" in info
    assert "raysonde-arm: mlp" in predict
    assert "content-length: 2" in predict


async def test_silence_is_no_answer(server: tuple[str, list[str]]) -> None:
    url, _ = server
    async with Connection(url, None).open(transport=StreamTransport(4)) as http:
        http.timeout = httpx.Timeout(0.2)
        with pytest.raises(NotRunning, match="Timeout on reading data from socket"):
            await WorkloadClient(http, "unknown", TARGET).arms()


@pytest.mark.parametrize(
    ("workload", "reason"),
    [("garbage", "Bad status line"), ("cut", "Not enough data"), ("gone", "isconnected")],
)
async def test_half_an_answer_is_none(server: tuple[str, list[str]], workload: str, reason: str) -> None:
    url, _ = server
    async with Connection(url, None).open(transport=StreamTransport(4)) as http:
        with pytest.raises(NotRunning, match=reason):
            await WorkloadClient(http, workload, TARGET).arms()


async def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Connection(url, None).open(transport=StreamTransport(4)) as http:
            with pytest.raises(NotRunning, match="nothing answers at"):
                await WorkloadClient(http, "toy", TARGET).arms()
