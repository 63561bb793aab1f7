"""The replicas of a deployment, called over connections; over Serve's handle while there is none."""

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

# how long a new replica may be without calls; those that go say so by closing their connections
LOOK_PERIOD_S = 3.0
_CONNECT_S = 1.0
# a replica that dies takes the calls on it along; so may the one that is asked next
_CONNECTIONS_TRIED = 2


class RpcClient:
    """Calls of one method of a deployment; belongs to one event loop.

    A call that loses its connection is made again, to another replica: what is called must allow that.
    Serve's handle knows of all replicas at all times, so it is asked when no connection is there, or none
    holds.

    Args:
        handle: of the deployment, whose replicas answer `address`.
        method: what is called, which must be what their listeners answer with.
        is_direct: False: always by the handle.
        clock: monotonic seconds.

    Attributes:
        ways: calls by the way they went, `direct` or `serve`; one that is made again counts again.
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
        self.ways: Counter[str] = Counter()
        self._is_direct = is_direct
        self._clock = clock
        self._connections: dict[Address, Connection] = {}
        self._looking: asyncio.Task[None] | None = None
        self._next_look_s = -float("inf")
        self._unreached: set[Address] = set()

    async def __call__(self, *arguments: Any) -> Any:
        """The answer of one of the replicas.

        Raises:
            CallFailed: it has none, and says why.
            Exception: of Serve, which could not have any replica asked.
        """
        for _ in range(_CONNECTIONS_TRIED):
            self._look_sometimes()
            connection = self._least_busy()
            if connection is None:
                break
            self.ways["direct"] += 1
            try:
                return await connection.call(*arguments)
            except ConnectionLost:
                self._next_look_s = self._clock()
        self.ways["serve"] += 1
        return await self._by_handle(*arguments)

    def close(self) -> None:
        """End the connections; calls under way fail."""
        if self._looking is not None:
            self._looking.cancel()
        for connection in self._connections.values():
            connection.close()

    @property
    def connected(self) -> int:
        """Replicas that there is a connection to."""
        return len(self._connections)

    async def look(self) -> None:
        """Connect to the replicas that there are now, and to no others."""
        self._next_look_s = self._clock() + LOOK_PERIOD_S
        found = await gather_answers(self._handle, "address")
        addresses = {address for address in found if isinstance(address, Address)}
        if not addresses:  # nobody could be asked: those that are known may well be there
            return
        for address, connection in list(self._connections.items()):
            if connection.is_lost:
                del self._connections[address]
        for address in addresses - self._connections.keys():
            await self._connect(address)
        for address in self._connections.keys() - addresses:
            self._connections.pop(address).close()
        self._unreached &= addresses

    async def _connect(self, address: Address) -> None:
        try:
            self._connections[address] = await connect(address, _CONNECT_S)
            self._unreached.discard(address)
        except OSError as error:  # TimeoutError is one
            if address not in self._unreached:
                log.warning("%s not reached, called through Serve: %r", address, error)
            self._unreached.add(address)

    def _look_sometimes(self) -> None:
        if not self._is_direct or self._clock() < self._next_look_s:
            return
        if self._looking is None or self._looking.done():
            # not of the request that happens to be here: Serve would end it with that
            self._looking = asyncio.get_running_loop().create_task(self._try_look(), context=Context())

    async def _try_look(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001 - of Serve; the next look is soon
            log.warning("replicas not asked for their addresses: %s", reason_text(error))

    def _least_busy(self) -> Connection | None:
        return min(
            (one for one in self._connections.values() if not one.is_lost),
            # of those that are as busy, not always the first
            key=lambda one: (one.under_way, random.random()),
            default=None,
        )

    async def _by_handle(self, *arguments: Any) -> Any:
        # Serve cancels what a request has called for when its client hangs up; this is called for by many
        task = asyncio.get_running_loop().create_task(self._called(*arguments), context=Context())
        try:
            return await task
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if here is None or here.cancelling():
                raise
            raise CallFailed("the replica was stopped") from None

    async def _called(self, *arguments: Any) -> Any:
        return await self._method.remote(*arguments)
