"""Headers that browsers want on every answer, and HEAD as GET without its body."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable
from hashlib import sha256

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_NO_FRAME = (b"x-frame-options", b"DENY")
_NO_STORE = (b"cache-control", b"no-store")
_NO_REFERRER = (b"referrer-policy", b"no-referrer")
_CSP = b"content-security-policy"
# what may be kept says so, or has a tag by which it is asked for again: the files of the API's page
_CACHED = frozenset({b"cache-control", b"etag"})
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

# A report is a page of another library's making, with scripts that write scripts: without an origin it can
# ask for nothing with the key of the browser.
REPORT_CSP = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; "
    "script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; worker-src blob:; frame-ancestors 'none'"
)


class BrowserHeaders:
    """ASGI middleware that adds the headers; it is the outermost, so that no answer is without them.

    Args:
        app: answers, HEAD as GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        page: Message | None = None
        content = b""

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal page, content
            if message["type"] == "http.response.start":
                is_page = _add(message)
                if is_page:
                    page = message
                    return _nothing()
            elif page is not None:
                content += message.get("body", b"")
                if message.get("more_body"):
                    return _nothing()
                return _send_page(send, page, content)
            return send(message)

        await self._app(scope, receive, send_with_headers)


def page_csp(content: bytes) -> str:
    """Return the policy of a page of ours: its own inline scripts, and no others than this server's."""
    hashes = (b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(content))
    scripts = " ".join(["'self'", *(f"'sha256-{found}'" for found in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def _add(start: Message) -> bool:
    """Add the headers to the start of an answer; return whether it is a page that still needs a policy."""
    headers: list[tuple[bytes, bytes]] = list(start["headers"])
    names = {name.lower(): value for name, value in headers}
    # a proxy before an application finds them there
    headers += [header for header in (_NO_SNIFF, _NO_FRAME) if header[0] not in names]
    if _CACHED.isdisjoint(names):
        headers.append(_NO_STORE)
    is_page = names.get(b"content-type", b"").startswith(b"text/html")
    if is_page and _NO_REFERRER[0] not in names:
        headers.append(_NO_REFERRER)
    start["headers"] = headers
    return is_page and _CSP not in names


async def _send_page(send: Send, start: Message, content: bytes) -> None:
    start["headers"].append((_CSP, page_csp(content).encode()))
    await send(start)
    await send({"type": "http.response.body", "body": content})


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            if message.get("more_body"):
                return
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return send_head


async def _nothing() -> None:
    """Send nothing yet."""
