"""The end of a connection that calls."""

from __future__ import annotations

import asyncio
import pickle
from itertools import count
from typing import Any

from deployments.rpc.frames import BadFrame, Frame, Kind
from deployments.rpc.server import Address
from deployments.rpc.transport import Transport


class ConnectionLost(RuntimeError):
    """The replica is gone, or left; whether it did what was asked is not known."""


class CallFailed(RuntimeError):
    """What the replica says about why it has no answer."""


class Connection(Transport):
    """To one replica; belongs to one event loop.

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
    def under_way(self) -> int:
        """Calls that have no answer yet."""
        return len(self._futures)

    @property
    def is_lost(self) -> bool:
        """Whether calls cannot be made any more."""
        return self._is_lost

    def call(self, *arguments: Any) -> asyncio.Future[Any]:
        """The answer, to be awaited.

        Raises:
            ConnectionLost: at once or when awaited; it may be made again elsewhere if that does no harm.
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
        """Of asyncio."""
        super().connection_made(transport)
        self.send(Frame(Kind.KEY, 0, self._key))

    def connection_lost(self, error: Exception | None) -> None:
        """Of asyncio."""
        super().connection_lost(error)
        self._is_lost = True
        futures, self._futures = self._futures, {}
        for future in futures.values():
            if not future.done():
                future.set_exception(ConnectionLost(f"the replica is gone: {error or 'it closed'}"))

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        try:
            for frame in self.reader.feed(data):
                self._take(frame)
        except BadFrame:
            self.abort()

    def _take(self, frame: Frame) -> None:
        future = self._futures.pop(frame.call, None)
        if future is None or future.done():  # who asked no longer waits
            return
        if frame.kind is not Kind.ANSWER:
            future.set_exception(CallFailed(frame.body.decode(errors="replace")))
            return
        try:
            future.set_result(pickle.loads(frame.body))
        except Exception as error:  # noqa: BLE001 - of another version of the code, in an update
            future.set_exception(CallFailed(f"an answer that cannot be read: {error!r}"))


async def connect(address: Address, timeout_s: float) -> Connection:
    """A connection to a replica.

    Raises:
        OSError, TimeoutError: it cannot be reached.
    """
    async with asyncio.timeout(timeout_s):
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(address.key), address.host, address.port
        )
    return connection
