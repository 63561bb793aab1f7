"""Limits of heads and headers for Serve's own proxy in the profile `plain`, as HAProxy has them."""

from __future__ import annotations

import asyncio
import re

from starlette.types import ASGIApp, Receive, Scope, Send

HEAD_TIMEOUT_S = 5.0

# Serve reads these before any code of ours, and fails at bytes that it does not expect
_CHECKED = {
    b"x-request-id": re.compile(rb"[!-~]{1,128}"),
    b"x-request-timeout-seconds": re.compile(rb"[0-9.]{1,16}"),
    b"x-request-disconnect-disabled": re.compile(rb"[!-~]{1,16}"),
}
_DROPPED = re.compile(rb"x.session.id|serve.multiplexed.model.id")


class ServeHeaders:
    """ASGI middleware that takes away what Serve would fail at; an id that is missing is made by Serve."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the headers that are left."""
        if "headers" in scope:
            scope = {**scope, "headers": clean_headers(scope["headers"])}
        await self._app(scope, receive, send)


def clean_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers without those that Serve must not read; of an id that comes twice, none."""
    names = [name for name, _ in headers]
    return [
        (name, value)
        for name, value in headers
        if not _DROPPED.fullmatch(name)
        and (name not in _CHECKED or (_CHECKED[name].fullmatch(value) is not None and names.count(name) == 1))
    ]


def limit_time_of_heads(timeout_s: float = HEAD_TIMEOUT_S) -> None:
    """Let uvicorn close a connection whose request has no whole head in time; it has no such limit itself.

    For servers of this process that start later.
    """
    from uvicorn.protocols.http import auto
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class TimedHeads(HttpToolsProtocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._head_timer is None:
                self._start()

        def on_headers_complete(self) -> None:
            self._stop()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _start(self) -> None:
            self._head_timer = self.loop.call_later(timeout_s, self.transport.close)

        def _stop(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    auto.AutoHTTPProtocol = TimedHeads
