"""What both ends of a connection have in common."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from deployments.rpc.frames import Frame, FrameReader, to_bytes

# a node that is gone does not say so: what was sent and not acknowledged for so long will not be
_UNACKNOWLEDGED_MS = 5000


class Transport(asyncio.Protocol):
    """Frames in and out. Of those that are sent in one turn of the event loop uvloop makes one piece."""

    def __init__(self) -> None:
        self.reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # of uvloop it is none by its type
        end = transport.get_extra_info("socket")
        if end is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)

    def connection_lost(self, error: Exception | None) -> None:
        """Of asyncio."""
        self._transport = None

    def send(self, frame: Frame) -> None:
        """Nothing is sent on a connection that is gone: both ends learn of it by `connection_lost`.

        Raises:
            BadFrame: it is too long.
        """
        data = to_bytes(frame)
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """What is due is sent before."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """At once; what is due is not sent."""
        if self._transport is not None:
            self._transport.abort()
