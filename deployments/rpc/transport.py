"""The common part of both ends of a connection."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from deployments.rpc.frames import Frame, FrameReader, to_bytes

# a node that is gone closes nothing: data that is not acknowledged for so long never will be
_UNACKNOWLEDGED_MS = 5000


class Transport(asyncio.Protocol):
    """A protocol of frames. Those that are sent in one turn of the event loop go as one piece by uvloop."""

    def __init__(self) -> None:
        self.reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and bound the time until sent data is acknowledged."""
        self._transport = cast(asyncio.Transport, transport)  # of uvloop it is none by its type
        end = transport.get_extra_info("socket")
        if end is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the transport."""
        self._transport = None

    def send(self, frame: Frame) -> None:
        """Send a frame, or nothing if the connection is gone: both ends learn of it by `connection_lost`.

        Raises:
            BadFrame: the frame is too long.
        """
        data = to_bytes(frame)
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection after the data that waits to be sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once, without the data that waits to be sent."""
        if self._transport is not None:
            self._transport.abort()
