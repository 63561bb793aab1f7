"""The called end of a connection."""

from __future__ import annotations

import asyncio
import hmac
import logging
import pickle
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from deployments.rpc.frames import BadFrame, Frame, Kind
from deployments.rpc.serve_handles import reason_text
from deployments.rpc.transport import Transport

log = logging.getLogger(__name__)

_KEY_BYTES = 32
_KEY_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Address:
    """The address of a replica's server, and the key that has to come first."""

    host: str
    port: int
    key: bytes = field(repr=False)


class RpcServer:
    """A server of one replica's calls; it belongs to one event loop.

    Who knows the key may call: what comes is unpickled, which could be made to run anything. The key is new
    in each process, and given to those alone who call the replica through Serve.

    Args:
        answer: computes the answer of a call from its arguments.
    """

    def __init__(self, answer: Callable[..., Awaitable[Any]]) -> None:
        self._answer = answer
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._starting: asyncio.Task[asyncio.Server] | None = None
        self._callers: set[_CallerConnection] = set()

    async def address(self, host: str) -> Address:
        """Return the address, on which the server listens from the first call of this method.

        Args:
            host: address of this machine that the callers reach.

        Raises:
            OSError: the server cannot listen there.
        """
        if self._starting is None or (self._starting.done() and self._starting.exception() is not None):
            self._starting = asyncio.create_task(self._start(host))
        server = await asyncio.shield(self._starting)
        port: int = server.sockets[0].getsockname()[1]
        return Address(host, port, self._key)

    def close(self) -> None:
        """Stop listening, and close all connections: the callers turn to another replica."""
        if self._starting is not None and self._starting.done() and self._starting.exception() is None:
            self._starting.result().close()
        for caller in list(self._callers):
            caller.close()

    async def _start(self, host: str) -> asyncio.Server:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return await asyncio.get_running_loop().create_server(self._make_caller, host, 0, family=family)

    def _make_caller(self) -> _CallerConnection:
        return _CallerConnection(self._answer, self._key, self._callers)


class _CallerConnection(Transport):
    """The connection of one caller."""

    def __init__(
        self, answer: Callable[..., Awaitable[Any]], key: bytes, callers: set[_CallerConnection]
    ) -> None:
        super().__init__()
        self.reader.most_body_bytes, self._most_body_bytes = len(key), self.reader.most_body_bytes
        self._answer = answer
        self._key = key
        self._callers = callers
        self._is_known = False
        self._key_timeout: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._callers.add(self)
        self._key_timeout = asyncio.get_running_loop().call_later(_KEY_TIMEOUT_S, self.abort)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._callers.discard(self)
        if self._key_timeout is not None:
            self._key_timeout.cancel()

    def data_received(self, data: bytes) -> None:
        """Run the calls that have arrived."""
        try:
            for frame in self.reader.feed(data):
                self._handle_frame(frame)
        except BadFrame as error:
            log.warning("a connection sends no valid frame and is closed: %s", error)
            self.abort()

    def _handle_frame(self, frame: Frame) -> None:
        if self._is_known and frame.kind is Kind.CALL:
            task = asyncio.get_running_loop().create_task(self._run(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif frame.kind is Kind.KEY and hmac.compare_digest(frame.body, self._key):
            self._is_known = True
            self.reader.most_body_bytes = self._most_body_bytes
            if self._key_timeout is not None:
                self._key_timeout.cancel()
        else:
            raise BadFrame("no key, or a wrong one, came first")

    async def _run(self, frame: Frame) -> None:
        try:
            answer = await self._answer(*pickle.loads(frame.body))
            self.send(Frame(Kind.ANSWER, frame.call, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)))
        except asyncio.CancelledError:
            self.send(Frame(Kind.FAILURE, frame.call, b"the replica was stopped"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's to handle
            self.send(Frame(Kind.FAILURE, frame.call, reason_text(error).encode()))
