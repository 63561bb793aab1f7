"""The transport of streams: aiohttp beneath httpx, for a quarter of the processor time a request."""

from __future__ import annotations

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


class StreamTransport(AiohttpTransport):
    """A transport for hundreds of requests a second (docs/decisions/0023).

    Args:
        connections: most at a time; further requests wait.
    """

    def __init__(self, connections: int) -> None:
        super().__init__(limits=httpx.Limits(max_connections=connections))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the caller reads the answer.

        Raises:
            httpx.TransportError: no answer.
        """
        try:
            return await super().handle_async_request(request)
        except aiohttp.ClientError as error:  # of an answer that is no HTTP; the library maps the others
            raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
