"""Calls over real connections on loopback, beside a handle that stands for Serve's."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from deployments.rpc import client as direct_calls
from deployments.rpc.client import REFRESH_PERIOD_S, RpcClient
from deployments.rpc.connection import CallFailed, ConnectionLost, connect
from deployments.rpc.frames import Frame, Kind, to_bytes
from deployments.rpc.server import Address, RpcServer
from tests.support.conditions import wait_for
from tests.support.handles import FakeHandle

HOST = "127.0.0.1"


class Replica:
    """Answers with its name and what it was asked; what it is told to do first, it does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[object] = []
        self.first: Callable[[], Awaitable[None]] | None = None
        self.listener = RpcServer(self.predict)

    async def predict(self, what: object) -> tuple[str, object]:
        self.received.append(what)
        if self.first is not None:
            await self.first()
        return self.name, what

    async def address(self) -> Address:
        return await self.listener.address(HOST)


class Deployment:
    """Replicas, and Serve's handle of them, which has `serve` answer."""

    def __init__(self, *names: str) -> None:
        self.replicas = {name: Replica(name) for name in names}
        self.handle = FakeHandle(Replica("serve"))
        self.now_s = 0.0
        self.calls = RpcClient(self.handle, "predict", clock=lambda: self.now_s)

    async def announce(self, *names: str) -> None:
        self.handle.broadcast_answers = [await self.replicas[name].address() for name in names]

    async def who_answers(self) -> set[str]:
        return {(await self.calls(number))[0] for number in range(20)}

    def by_serve(self) -> int:
        return self.handle.methods.count("predict")


@asynccontextmanager
async def deployment(*names: str) -> AsyncIterator[Deployment]:
    made = Deployment(*names)
    await made.announce(*names)
    await made.calls.refresh()
    try:
        yield made
    finally:
        made.calls.close()
        for replica in made.replicas.values():
            replica.listener.close()
        await asyncio.sleep(0)


async def test_calls_go_to_all_replicas_and_not_through_serve() -> None:
    async with deployment("a", "b") as system:
        answers = await asyncio.gather(*(system.calls(number) for number in range(20)))
        assert [what for _, what in answers] == list(range(20))
        assert len(system.replicas["a"].received) == len(system.replicas["b"].received) == 10
        assert system.by_serve() == 0


async def test_before_a_replica_is_known_serve_is_asked_and_then_no_more() -> None:
    async with deployment() as system:
        system.replicas["a"] = Replica("a")
        await system.announce("a")
        system.now_s += REFRESH_PERIOD_S
        assert (await system.calls(1))[0] == "serve"
        await wait_for(lambda: system.calls.connected == 1)
        assert await system.who_answers() == {"a"}


async def test_a_new_replica_is_found_and_one_that_serve_no_longer_names_is_left() -> None:
    async with deployment("a") as system:
        system.replicas["b"] = Replica("b")
        await system.announce("a", "b")
        assert await system.who_answers() == {"a"}
        system.now_s += REFRESH_PERIOD_S
        await system.calls(0)
        await wait_for(lambda: system.calls.connected == 2)
        assert await system.who_answers() == {"a", "b"}
        await system.announce("b")
        await system.calls.refresh()
        assert await system.who_answers() == {"b"}


async def test_a_call_whose_replica_goes_is_made_again_of_another() -> None:
    async with deployment("a", "b") as system:
        gone = system.replicas["a"]

        async def go() -> None:
            gone.listener.close()
            await asyncio.Event().wait()

        gone.first = go
        answers = await asyncio.gather(*(system.calls(number) for number in range(6)))
        assert answers == [("b", number) for number in range(6)]
        assert len(gone.received) == 3
        assert system.calls.calls_by_path == {"direct": 9}


async def test_serve_is_asked_when_the_last_replica_goes() -> None:
    async with deployment("a") as system:
        system.replicas["a"].listener.close()
        assert await system.who_answers() == {"serve"}
        assert system.calls.calls_by_path["serve"] == 20


async def test_why_there_is_no_answer_is_reported_and_ends_no_connection() -> None:
    async with deployment("a") as system:

        async def fail() -> None:
            raise ValueError("Traceback ...\nthe model is broken")

        system.replicas["a"].first = fail
        with pytest.raises(CallFailed, match=r"^the model is broken$"):
            await system.calls(1)
        system.replicas["a"].first = None
        assert await system.calls(2) == ("a", 2)


async def test_who_gives_up_waiting_disturbs_no_other_call() -> None:
    async with deployment("a") as system:
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        system.replicas["a"].first = wait
        given_up, other = asyncio.create_task(system.calls(1)), asyncio.create_task(system.calls(2))
        await wait_for(lambda: len(system.replicas["a"].received) == 2)
        given_up.cancel()
        gate.set()
        assert await other == ("a", 2)
        with pytest.raises(asyncio.CancelledError):
            await given_up


async def test_what_is_large_passes_whole() -> None:
    async with deployment("a") as system:
        large = os.urandom(3_000_000)
        assert await system.calls(large) == ("a", large)


class Unreadable:
    """Can be written alone."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return float, ("nothing",)


async def test_an_answer_that_cannot_be_read_fails_its_call_alone() -> None:
    async with deployment("a") as system:
        replica = system.replicas["a"]

        async def predict(what: object) -> object:
            return Unreadable() if what == 1 else what

        replica.listener.close()
        replica.listener = RpcServer(predict)
        await system.announce("a")
        system.calls.close()
        system.calls = RpcClient(system.handle, "predict")
        await system.calls.refresh()
        with pytest.raises(CallFailed, match="cannot be read"):
            await system.calls(1)
        assert await system.calls(2) == 2


@pytest.mark.parametrize("first", [Frame(Kind.KEY, 0, b"x" * 32), Frame(Kind.CALL, 0, b"x" * 20)])
async def test_who_has_no_key_is_cut_off_before_anything_is_read(first: Frame) -> None:
    async with deployment("a") as system:
        address = await system.replicas["a"].address()
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(to_bytes(first) + to_bytes(Frame(Kind.CALL, 1, b"not a pickle")))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert system.replicas["a"].received == []


async def test_a_key_is_not_shown() -> None:
    async with deployment("a") as system:
        address = await system.replicas["a"].address()
        assert len(address.key) == 32
        assert "key" not in repr(address)


async def test_an_address_that_nobody_reaches_is_logged_once_and_called_through_serve(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_calls, "_CONNECT_S", 0.2)
    with socket.create_server((HOST, 0)) as free:
        closed = Address(HOST, free.getsockname()[1], b"")
    async with deployment() as system:
        system.handle.broadcast_answers = [closed, ValueError("no address"), None]
        with caplog.at_level(logging.WARNING):
            await system.calls.refresh()
            await system.calls.refresh()
        assert [record.getMessage().split(",")[0] for record in caplog.records] == [f"Address(host='{HOST}'"]
        assert await system.who_answers() == {"serve"}


async def test_no_connection_is_looked_for_where_calls_go_through_serve() -> None:
    handle = FakeHandle(Replica("serve"))
    calls = RpcClient(handle, "predict", is_direct=False)
    assert await calls(1) == ("serve", 1)
    assert handle.methods == ["predict"]


async def test_a_connection_that_is_gone_takes_no_call() -> None:
    async with deployment("a") as system:
        connection = await connect(await system.replicas["a"].address(), 1)
        system.replicas["a"].listener.close()
        await wait_for(lambda: connection.is_lost)
        with pytest.raises(ConnectionLost):
            await connection.call(1)
