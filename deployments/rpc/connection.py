"""The calling end of a connection."""

from __future__ import annotations

import asyncio
import pickle
from itertools import count
from typing import Any

from deployments.rpc.frames import BadFrame, Frame, Kind
from deployments.rpc.server import Address
from deployments.rpc.transport import Transport


class ConnectionLost(RuntimeError):
    """The connection to the replica is gone; whether the call was carried out is not known."""


class CallFailed(RuntimeError):
    """The replica has no answer; the message is its reason."""


class Connection(Transport):
    """A connection to one replica; it belongs to one event loop.

    Args:
        key: the replica's.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key
        self._numbers = count()
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._is_lost = False

    @property
    def in_flight(self) -> int:
        """The number of calls without an answer yet."""
        return len(self._futures)

    @property
    def is_lost(self) -> bool:
        """Return whether the connection is gone, so that no call can be made."""
        return self._is_lost

    def call(self, *arguments: Any) -> asyncio.Future[Any]:
        """Send a call, and return the future of its answer.

        Raises:
            ConnectionLost: at once or when awaited; the call may be repeated elsewhere if that does no harm.
            CallFailed: when awaited.
            BadFrame: the arguments are too large.
        """
        if self._is_lost:
            raise ConnectionLost("the connection is gone")
        number = next(self._numbers)
        self.send(Frame(Kind.CALL, number, pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._futures[number] = future
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the key."""
        super().connection_made(transport)
        self.send(Frame(Kind.KEY, 0, self._key))

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the calls in flight."""
        super().connection_lost(error)
        self._is_lost = True
        futures, self._futures = self._futures, {}
        for future in futures.values():
            if not future.done():
                future.set_exception(ConnectionLost(f"the replica is gone: {error or 'it closed'}"))

    def data_received(self, data: bytes) -> None:
        """Complete the calls whose answers have arrived."""
        try:
            for frame in self.reader.feed(data):
                self._handle_frame(frame)
        except BadFrame:
            self.abort()

    def _handle_frame(self, frame: Frame) -> None:
        future = self._futures.pop(frame.call, None)
        if future is None or future.done():  # its caller no longer waits
            return
        if frame.kind is not Kind.ANSWER:
            future.set_exception(CallFailed(frame.body.decode(errors="replace")))
            return
        try:
            future.set_result(pickle.loads(frame.body))
        except Exception as error:  # noqa: BLE001 - of another version of the code, in an update
            future.set_exception(CallFailed(f"an answer that cannot be read: {error!r}"))


async def connect(address: Address, timeout_s: float) -> Connection:
    """Connect to a replica.

    Raises:
        OSError, TimeoutError: the replica cannot be reached.
    """
    async with asyncio.timeout(timeout_s):
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(address.key), address.host, address.port
        )
    return connection
