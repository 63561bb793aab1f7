"""Headers on every answer, the policy of a page, and HEAD."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest
from fastapi_offline import FastAPIOffline
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from deployments.http.door.browser_headers import BrowserHeaders
from deployments.http.root_page import render


def app() -> BrowserHeaders:
    api = FastAPIOffline(redoc_url=None)

    @api.get("/text")
    async def text() -> PlainTextResponse:
        return PlainTextResponse("hello")

    @api.get("/kept")
    async def kept() -> PlainTextResponse:
        return PlainTextResponse("hello", headers={"Cache-Control": "max-age=60"})

    @api.get("/parts")
    async def parts() -> StreamingResponse:
        async def both() -> AsyncIterator[bytes]:
            yield b"one, "
            yield b"two"

        return StreamingResponse(both())

    @api.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(render({"apogee": "ready"}))

    @api.get("/own")
    async def own() -> HTMLResponse:
        return HTMLResponse("<script>alert(1)</script>", headers={"Content-Security-Policy": "sandbox"})

    return BrowserHeaders(api)


async def ask(path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("path", ["/text", "/page", "/docs", "/openapi.json", "/none", "/own"])
async def test_every_answer_has_them_once(path: str) -> None:
    headers = (await ask(path)).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("x-frame-options") == ["DENY"]
    assert headers.get_list("cache-control") == ["no-store"]


async def test_what_may_be_kept_says_so() -> None:
    assert (await ask("/kept")).headers["cache-control"] == "max-age=60"
    assert "cache-control" not in (await ask("/static-offline-docs/swagger-ui.css")).headers


@pytest.mark.parametrize("path", ["/docs", "/page"])
async def test_the_policy_of_a_page_names_its_own_scripts(path: str) -> None:
    page = await ask(path)
    (policy,) = page.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"sha256-([^']+)'", policy) == hashes
    assert "'unsafe-inline'" not in re.findall(r"script-src [^;]+", policy)[0]
    # all else comes from this server
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text)


async def test_a_page_with_a_policy_keeps_it() -> None:
    assert (await ask("/own")).headers.get_list("content-security-policy") == ["sandbox"]


@pytest.mark.parametrize("path", ["/text", "/page", "/parts", "/openapi.json", "/none"])
async def test_head_is_get_without_its_body(path: str) -> None:
    got, head = await ask(path), await ask(path, "HEAD")
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers == got.headers
