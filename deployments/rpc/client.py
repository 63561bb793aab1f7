"""A client of the replicas of a deployment: over connections, and through Serve while there is none."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from typing import Any

from deployments.rpc.connection import CallFailed, Connection, ConnectionLost, connect
from deployments.rpc.serve_handles import Handle, bind_method, gather_answers, reason_text
from deployments.rpc.server import Address

log = logging.getLogger(__name__)

# a new replica may be without calls for so long; one that ends closes its connections
REFRESH_PERIOD_S = 3.0
_CONNECT_S = 1.0
# the calls of a replica that dies fail; so may those of the next one
_CONNECTIONS_TRIED = 2


class RpcClient:
    """A client that calls one method of a deployment; it belongs to one event loop.

    A call that loses its connection is made again, to another replica: the method must allow that. Serve's
    handle always knows all replicas, so it is called when there is no connection.

    Args:
        handle: of the deployment, whose replicas answer `address`.
        method: name of the method, which their servers must answer with.
        is_direct: whether connections are used; the handle alone otherwise.
        clock: monotonic seconds.

    Attributes:
        calls_by_path: calls by their path, `direct` or `serve`; one that is made again counts again.
    """

    def __init__(
        self,
        handle: Handle,
        method: str,
        *,
        is_direct: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handle = handle
        self._method = bind_method(handle, method)
        self.calls_by_path: Counter[str] = Counter()
        self._is_direct = is_direct
        self._clock = clock
        self._connections: dict[Address, Connection] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._next_refresh_s = -float("inf")
        self._unreachable: set[Address] = set()

    async def __call__(self, *arguments: Any) -> Any:
        """Call one of the replicas.

        Raises:
            CallFailed: the replica has no answer; the message says why.
            Exception: of Serve, which reaches no replica.
        """
        for _ in range(_CONNECTIONS_TRIED):
            self._refresh_if_due()
            connection = self._least_busy()
            if connection is None:
                break
            self.calls_by_path["direct"] += 1
            try:
                return await connection.call(*arguments)
            except ConnectionLost:
                self._next_refresh_s = self._clock()
        self.calls_by_path["serve"] += 1
        return await self._call_through_serve(*arguments)

    def close(self) -> None:
        """Close the connections; calls in flight fail."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        for connection in self._connections.values():
            connection.close()

    @property
    def connected(self) -> int:
        """Number of replicas that there is a connection to."""
        return len(self._connections)

    async def refresh(self) -> None:
        """Connect to the present replicas, and to no others."""
        self._next_refresh_s = self._clock() + REFRESH_PERIOD_S
        found = await gather_answers(self._handle, "address")
        addresses = {address for address in found if isinstance(address, Address)}
        if not addresses:  # no replica has answered: the known ones may well be there
            return
        for address, connection in list(self._connections.items()):
            if connection.is_lost:
                del self._connections[address]
        for address in addresses - self._connections.keys():
            await self._connect(address)
        for address in self._connections.keys() - addresses:
            self._connections.pop(address).close()
        self._unreachable &= addresses

    async def _connect(self, address: Address) -> None:
        try:
            self._connections[address] = await connect(address, _CONNECT_S)
            self._unreachable.discard(address)
        except OSError as error:  # TimeoutError is one
            if address not in self._unreachable:
                log.warning("%s is not reachable and is called through Serve: %r", address, error)
            self._unreachable.add(address)

    def _refresh_if_due(self) -> None:
        if not self._is_direct or self._clock() < self._next_refresh_s:
            return
        if self._refreshing is None or self._refreshing.done():
            # not part of the present request, with which Serve would end it
            self._refreshing = asyncio.get_running_loop().create_task(self._try_refresh(), context=Context())

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001 - of Serve; the next refresh is soon
            log.warning("the addresses of the replicas are not available: %s", reason_text(error))

    def _least_busy(self) -> Connection | None:
        return min(
            (one for one in self._connections.values() if not one.is_lost),
            # not always the first of those that are as busy
            key=lambda one: (one.in_flight, random.random()),
            default=None,
        )

    async def _call_through_serve(self, *arguments: Any) -> Any:
        # Serve cancels the calls of a request when its client hangs up; this one is for many requests
        task = asyncio.get_running_loop().create_task(self._call_handle(*arguments), context=Context())
        try:
            return await task
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if here is None or here.cancelling():
                raise
            raise CallFailed("the replica was stopped") from None

    async def _call_handle(self, *arguments: Any) -> Any:
        return await self._method.remote(*arguments)
