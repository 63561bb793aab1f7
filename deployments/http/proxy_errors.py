"""Layers around Serve's own proxy: problem documents in place of its plain text errors, and its limits.

The proxy of the plain profile loads `middlewares` (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH). No error of
a workload is plain text, so each one that is comes from Serve.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.domain.errors import Unavailable
from deployments.http.door.browser_headers import BrowserHeaders
from deployments.http.door.plain_proxy import ServeHeaders, limit_time_of_heads
from deployments.http.problems import problem_response

_PLAIN = "text/plain"
_OVERLOADED = "More requests come than can be answered in time, or nothing answers yet."
_ERRORS: dict[int, Exception] = {
    HTTPStatus.NOT_FOUND: HTTPException(HTTPStatus.NOT_FOUND, "There is no application at this path."),
    HTTPStatus.REQUEST_TIMEOUT: HTTPException(HTTPStatus.REQUEST_TIMEOUT, "The answer took too long."),
    HTTPStatus.INTERNAL_SERVER_ERROR: RuntimeError("the log has the cause"),
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable(_OVERLOADED),
}


class ProxyErrorMiddleware:
    """ASGI middleware around Serve's proxy that replaces its plain text errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a plain error gets another body, and Retry-After if it asks for that."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        error: Exception | None = None

        async def send_problem(message: Message) -> None:
            nonlocal error
            if message["type"] == "http.response.start":
                error = _serve_error(message)
            if error is None:
                await send(message)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                await problem_response(error, scope["path"])(scope, receive, send)

        await self._app(scope, receive, send_problem)


def middlewares() -> list[Middleware]:
    """Return the middlewares that Serve puts around its proxy, the outermost last."""
    limit_time_of_heads()
    return [Middleware(ProxyErrorMiddleware), Middleware(BrowserHeaders), Middleware(ServeHeaders)]


def _serve_error(start: Message) -> Exception | None:
    """Return the error that an answer of Serve's own stands for; None for all other answers."""
    error = _ERRORS.get(start["status"])
    if error is None or not Headers(raw=list(start["headers"])).get("content-type", "").startswith(_PLAIN):
        return None
    return error
