from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_IMODE
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from deployments.domain.errors import Unauthorized
from deployments.http.auth import KeyGuard, check_key, read_or_create_key
from training.runtime.environment import Environment


def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("in")


APP = Starlette(routes=[Route("/info", answer), Route("/healthz", answer)])


async def get(
    guard: KeyGuard,
    path: str = "/info",
    authorization: str | None = None,
    host: str = "localhost:8000",
    client: str = "127.0.0.1",
    server: str = "127.0.0.1",
    extra: Mapping[str, str] | None = None,
) -> httpx.Response:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await guard({**scope, "client": (client, 5), "server": (server, 8000)}, receive, send)

    headers = [(name.encode(), value.encode()) for name, value in (extra or {}).items()]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode("latin-1")))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as session:
        return await session.get(path, headers=headers)


@pytest.mark.parametrize("authorization", ["Bearer right", "bearer right", "Bearer  right "])
async def test_the_right_key_passes(authorization: str) -> None:
    assert (await get(KeyGuard(APP, "right"), authorization=authorization)).text == "in"


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "right", "Bearer", "Bearer ", "Bearer wrong", "Basic right", "Bearer é"),
        *("Bearer r", "Bearer righ", "Bearer ight", "Bearer rightx", "Bearer xright", "Bearer right right"),
        *("Bearer RIGHT", "Bearer Right", "Bearerright", "Bearer riight"),
    ],
)
async def test_without_the_key_nothing_passes(authorization: str | None) -> None:
    response = await get(KeyGuard(APP, "right"), authorization=authorization)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"
    assert "right" not in response.text


KEYS = st.text("abcXYZ019-_", min_size=2, max_size=8)


@given(KEYS, KEYS, st.data())
def test_no_key_that_resembles_the_right_one_passes(key: str, other: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(key)))
    resembling = {
        *(key[:at], key[at:], key[-at:]),
        *(key + other, other + key, key + key, f"{key} {key}", f"{key[:at]} {key[at:]}"),
        *(key.upper(), key.lower(), key.swapcase(), key[::-1], other),
    }
    check_key(f"Bearer {key}", key)
    for wrong in resembling - {key, f"{key} "}:
        with pytest.raises(Unauthorized):
            check_key(f"Bearer {wrong}", key)


@pytest.mark.parametrize(
    ("authorization", "passes"), [(None, False), ("Bearer no", False), ("Bearer right", True)]
)
async def test_a_websocket_needs_the_key_too(authorization: str | None, passes: bool) -> None:
    reached: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    scope = {"type": "websocket", "path": "/info", "query_string": b"", "headers": headers}
    await KeyGuard(app, "right")(scope, receive, send)
    assert [one["type"] for one in reached] == ["websocket"] * passes
    if not passes:
        assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 401)


async def test_a_link_with_the_key_signs_a_browser_in() -> None:
    transport = httpx.ASGITransport(KeyGuard(APP, "right"))
    async with httpx.AsyncClient(transport=transport, base_url="http://system") as browser:
        assert (await browser.get("/info?key=wrong")).status_code == 401
        assert (await browser.get("/info")).status_code == 401
        moved = await browser.get("/info?key=right&page=2")
        assert (moved.status_code, moved.headers["location"]) == (303, "http://system/info?page=2")
        assert {"HttpOnly", "SameSite=strict"} <= set(moved.headers["set-cookie"].split("; "))
        assert (await browser.get("/info")).text == "in"
        assert (await browser.get("/info", headers={"Authorization": "Bearer wrong"})).status_code == 401
    async with httpx.AsyncClient(transport=transport, base_url="http://system") as other:
        assert (await other.post("/info?key=right")).status_code == 401


async def test_public_paths_need_no_key() -> None:
    guard = KeyGuard(APP, "right", public_paths=("/healthz",))
    assert (await get(guard, "/healthz")).text == "in"
    assert (await get(guard, "/info")).status_code == 401


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "[::1]"])
async def test_open_on_loopback_answers_without_a_key_but_not_with_a_wrong_one(host: str) -> None:
    guard = KeyGuard(APP, "right", open_on_loopback=True)
    assert (await get(guard, host=host)).text == "in"
    assert (await get(guard, host=host, authorization="Bearer wrong")).status_code == 401
    assert (await get(guard, host=host, authorization="Bearer right")).text == "in"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil:1"]
)
async def test_open_on_loopback_is_closed_under_other_names(host: str) -> None:
    guard = KeyGuard(APP, "right", open_on_loopback=True)
    assert (await get(guard, host=host)).status_code == 401
    assert (await get(guard, host=host, authorization="Bearer right")).text == "in"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"server": "10.1.2.3"},
        {"client": "10.1.2.3"},
        {"extra": {"x-forwarded-for": "10.1.2.3"}},
        {"extra": {"forwarded": "for=10.1.2.3"}},
    ],
)
async def test_open_on_loopback_is_closed_to_what_comes_from_elsewhere(elsewhere: Any) -> None:
    guard = KeyGuard(APP, "right", open_on_loopback=True)
    assert (await get(guard, **elsewhere)).status_code == 401
    assert (await get(guard, authorization="Bearer right", **elsewhere)).text == "in"


def test_an_empty_header_is_a_wrong_key() -> None:
    with pytest.raises(Unauthorized, match="not the one"):
        check_key("", "right", without_key=True)


def test_the_key_file_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "api-key"
    key = read_or_create_key(path, Environment.of({}))
    assert len(key) >= 43
    assert read_or_create_key(path, Environment.of({})) == key
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_key_file_is_nobody_elses_from_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    link = Path.hardlink_to

    def observed(path: Path, draft: Path) -> None:
        modes.append(S_IMODE(draft.stat().st_mode))
        link(path, draft)

    monkeypatch.setattr(Path, "hardlink_to", observed)
    read_or_create_key(tmp_path / "api-key", Environment.of({}))
    assert modes == [0o600]


def test_a_key_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "api-key"
    path.write_text("mine\n")
    path.chmod(0o644)
    assert read_or_create_key(path, Environment.of({})) == "mine"
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_all_who_start_together_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "var" / "api-key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: read_or_create_key(path, Environment.of({})), range(64)))
    assert keys == {path.read_text().strip()}


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    assert read_or_create_key(tmp_path / "api-key", Environment.of({"RAYSONDE_API_KEY": "given"})) == "given"
    assert not (tmp_path / "api-key").exists()


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "api-key").touch()
    with pytest.raises(ValueError, match="got an empty file, expected a key"):
        read_or_create_key(tmp_path / "api-key", Environment.of({}))


def test_a_key_that_is_not_ours_to_write_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("key\n")
    path.chmod(0o444)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere but where nobody can
    assert read_or_create_key(path, Environment.of({})) == "key"
    assert S_IMODE(path.stat().st_mode) == 0o444
