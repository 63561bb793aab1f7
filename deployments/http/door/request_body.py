"""Bodies that do not come: a client that leaves, and one that takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.domain.errors import ClientLeft, TooSlow
from deployments.http.problems import problem_response


@dataclass(frozen=True)
class BodyPace:
    """The slowest pace of a body: 64 MiB in 11 minutes, and a small one within 10 s.

    Attributes:
        allowance_s: what any body may take.
        bytes_per_s: what a longer one has to come at.
    """

    allowance_s: float = 10.0
    bytes_per_s: float = 100_000.0


class BodyGuard:
    """ASGI middleware that ends requests whose body does not come: 408 if it stalls, 499 if the client left.

    Either is one line of the log and no fault of ours, whatever the application raises then. An answer
    before the whole body was read closes the connection, so that nobody waits for the rest.

    Args:
        app: reads the body.
        pace: see there.
    """

    def __init__(self, app: ASGIApp, pace: BodyPace | None = None) -> None:
        self._app = app
        self._pace = pace or BodyPace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer in place of the application if the body did not come."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, self._pace)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if body.problem is None:
                raise
        if body.problem is not None and not body.is_answered:
            response = problem_response(body.problem, scope["path"])
            response.headers["Connection"] = "close"
            await response(scope, receive, send)


class _Body:
    """The body of one request.

    Attributes:
        problem: why it will not be whole; None while it may be.
        is_answered: whether the answer had begun before that was known.
    """

    def __init__(self, receive: Receive, send: Send, pace: BodyPace) -> None:
        self.problem: ClientLeft | TooSlow | None = None
        self.is_answered = False
        self._receive = receive
        self._send = send
        self._pace = pace
        self._is_whole = False
        self._waited_s = 0.0
        self._received_bytes = 0

    async def receive(self) -> Message:
        """Return the next message; once the body failed, that the client has gone."""
        if self.problem is not None:
            return {"type": "http.disconnect"}
        if self._is_whole:
            return await self._receive()  # whether the client is still there
        clock = asyncio.get_running_loop().time
        began_s = clock()
        left_s = self._pace.allowance_s + self._received_bytes / self._pace.bytes_per_s - self._waited_s
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                message = await self._receive()
        except TimeoutError:
            self.problem = TooSlow(
                f"body: got {self._received_bytes:,} bytes in {self._waited_s + left_s:.0f} s, expected "
                f"{self._pace.bytes_per_s:,.0f} a second after {self._pace.allowance_s:g} s"
            )
            return {"type": "http.disconnect"}
        self._waited_s += clock() - began_s
        if message["type"] == "http.disconnect":
            self.problem = ClientLeft(f"the client left after {self._received_bytes:,} bytes of its body")
        else:
            self._received_bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Send what the application answers, unless the body failed before."""
        if message["type"] == "http.response.start":
            if self.problem is not None:
                return _drop()
            self.is_answered = True
            if not self._is_whole:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        elif not self.is_answered:
            return _drop()
        return self._send(message)


async def _drop() -> None:
    """Send nothing."""


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return bool(value != b"0")
        if name == b"transfer-encoding":
            return True
    return False
