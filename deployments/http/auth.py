"""The key that requests carry, as `Authorization: Bearer KEY` or a browser's cookie, and its file."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.domain.errors import TooManyFailures, Unauthorized
from deployments.http.door.caller import HAS_KEY
from deployments.http.door.failed_keys import FailedKeys
from deployments.http.problems import problem_response

if TYPE_CHECKING:  # see there
    from training.runtime.environment import Environment

KEY_PARAMETER = "key"
KEY_COOKIE = "raysonde_key"
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


def read_or_create_key(path: Path, environment: Environment) -> str:
    """Return the key: RAYSONDE_API_KEY if set, else the content of `path`, which is made when it is missing.

    The file has mode 0600 from its first byte, but for one that may not be written, such as a container's
    secret. Processes that start together agree on one key.

    Raises:
        ValueError: the file is empty.
    """
    if key := environment.api_key.get_secret_value():
        return key
    if not path.exists():
        _create(path)
    if os.access(path, os.W_OK):
        path.chmod(0o600)
    key = path.read_text().strip()
    if not key:
        raise ValueError(f"{path}: got an empty file, expected a key; delete the file and a new one is made")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # a link fails where a rename would replace the key of a process that was faster
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def check_key(authorization: str | None, key: str, *, without_key: bool = False) -> None:
    """Check the key of a request.

    Args:
        authorization: the header, None when the request has none.
        key: the right one.
        without_key: whether a request without the header may pass; a wrong key never does.

    Raises:
        Unauthorized: the request may not pass; the message says what to send, never the key.
    """
    if authorization is None:
        if without_key:
            return
        raise Unauthorized("Send the key of the service as Authorization: Bearer KEY")
    scheme, _, sent = authorization.partition(" ")
    # compared as bytes: compare_digest rejects text outside ASCII
    right = hmac.compare_digest(sent.strip().encode(), key.encode())
    if scheme.lower() != "bearer" or not right:
        raise Unauthorized("The key is not the one of this service; send it as Authorization: Bearer KEY")


def behind_proxy(environment: Environment) -> bool:
    """Return whether Serve is behind HAProxy, whose address is then the client of every request."""
    return environment.ray_serve_enable_ha_proxy == "1"


class KeyGuard:
    """ASGI middleware that rejects requests without the key, by a 401 problem document.

    Args:
        app: the guarded one.
        key: the right one.
        open_on_loopback: whether requests without a key pass when they come from this machine to its
            loopback interface. They must also address it by a loopback name, so that a web page that a
            browser shows cannot reach it under a name of its own (DNS rebinding). Not for a service behind
            a proxy, which makes every request come from this machine.
        public_paths: paths that need no key.
        failed: counts the requests without it.
    """

    def __init__(
        self,
        app: ASGIApp,
        key: str,
        *,
        open_on_loopback: bool = False,
        public_paths: Collection[str] = (),
        failed: FailedKeys | None = None,
    ) -> None:
        self._app = app
        self._key = key
        self._open_on_loopback = open_on_loopback
        self._public_paths = frozenset(public_paths)
        self._failed = failed or FailedKeys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on; a page asked for with ?key= is redirected, with a cookie."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in self._public_paths:
            request = HTTPConnection(scope)
            if scope["type"] == "http" and scope["method"] == "GET" and KEY_PARAMETER in request.query_params:
                await (await self._sign_in(request))(scope, receive, send)
                return
            without_key = self._open_on_loopback and _stays_on_loopback(scope, request.headers)
            try:
                sent = _sent_key(request)
                check_key(sent, self._key, without_key=without_key)
            except Unauthorized as error:
                await (await self._refuse(error, scope))(scope, receive, send)
                return
            scope[HAS_KEY] = sent is not None
        await self._app(scope, receive, send)

    async def _refuse(self, error: Unauthorized, scope: Scope) -> Response:
        """Return the 401, or after a pause a 429 to an address that has had many."""
        client = scope.get("client") or ("unknown", 0)
        if await self._failed.add(client[0]):
            text = "Too many requests without the right key come from this address"
            return problem_response(TooManyFailures(text, self._failed.limits.window_s), scope["path"])
        return problem_response(error, scope["path"])

    async def _sign_in(self, request: HTTPConnection) -> Response:
        """Set a cookie from a link with the key: browsers cannot send the header."""
        try:
            check_key(f"Bearer {request.query_params[KEY_PARAMETER]}", self._key)
        except Unauthorized as error:
            return await self._refuse(error, request.scope)
        response = RedirectResponse(request.url.remove_query_params(KEY_PARAMETER), 303)
        # strict: a page of another site cannot have it sent along
        response.set_cookie(KEY_COOKIE, self._key, httponly=True, samesite="strict")
        return response


def _sent_key(request: HTTPConnection) -> str | None:
    """Return the header, or the cookie that stands for it; a header counts alone."""
    header = request.headers.get("authorization")
    cookie = request.cookies.get(KEY_COOKIE)
    return f"Bearer {cookie}" if header is None and cookie is not None else header


def _stays_on_loopback(scope: Scope, headers: Headers) -> bool:
    """Return whether both ends of the connection, and the host name of the request, are of loopback."""
    ends = [scope.get("client"), scope.get("server")]
    if not all(end and _is_loopback_address(end[0]) for end in ends):
        return False
    if "forwarded" in headers or "x-forwarded-for" in headers:
        return False
    return _is_loopback_name(headers.get("host", ""))


def _is_loopback_address(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_loopback_name(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower() in _LOOPBACK_HOSTS
