"""The front door of running systems, behind HAProxy and behind Serve's own proxy."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.front_door import ask, connections, head, statuses, with_key
from tests.support.system import RunningSystem, bodies, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["fast_system", "system"])
def either(request: pytest.FixtureRequest) -> RunningSystem:
    found: RunningSystem = request.getfixturevalue(request.param)
    return found


def port_of(system: RunningSystem) -> int:
    port = urlsplit(system.url).port
    assert port is not None
    return port


def test_readiness_needs_no_key(either: RunningSystem) -> None:
    wait_until(lambda: httpx.get(f"{either.url}/-/ready").status_code == 200, 15, "it is ready")
    for method in ("GET", "HEAD"):
        for path in ("/-/ready", "/-/ready/any", "/-/healthz"):
            answer = httpx.request(method, f"{either.url}{path}")
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
            assert bool(answer.content) is (method == "GET")


@pytest.mark.parametrize("header", [b"X-Request-ID: \xe9\xff", b"X-Request-ID: " + b"x" * 8000])
async def test_headers_that_serve_reads_are_no_fault(either: RunningSystem, header: bytes) -> None:
    answer = await ask(port_of(either), "/apogee/info", [*with_key(either.key), header])
    assert answer.status == 200
    assert len(answer.headers["x-request-id"]) < 200


def test_head_and_headers_of_pages(either: RunningSystem) -> None:
    with either.client() as client:
        for path in ("/healthz", "/info", "/docs"):
            answer, without = client.get(path), client.head(path)
            assert (without.status_code, without.content) == (answer.status_code, b"")
            assert answer.headers.get_list("x-frame-options") == ["DENY"]
        assert "script-src 'self' 'sha256-" in client.get("/docs").headers["content-security-policy"]
        page = client.get(f"{either.url}/")
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_stalled_bodies_stop_nobody(either: RunningSystem) -> None:
    """200 of them held every place at a replica, and all others had a 503."""
    port = port_of(either)
    body = json.dumps(bodies(2)[0]).encode()
    async with connections(port, 200) as stalled:
        for _, writer in stalled:
            # plain: this machine needs no key, and a wrong one is wrong everywhere
            writer.write(head("/apogee/predict", with_key("wrong"), length=1000))
        await asyncio.sleep(0.5)
        answers = [
            await ask(port, "/apogee/predict", with_key(either.key), method="POST", body=body)
            for _ in range(20)
        ]
        assert statuses(answers) == {200: 20}
        ended = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in stalled)), 30)
        assert all(one.startswith((b"HTTP/1.1 401", b"HTTP/1.1 429")) for one in ended)


async def test_a_body_that_stalls_is_ended_with_the_key_too(either: RunningSystem) -> None:
    async with connections(port_of(either)) as ((reader, writer),):
        writer.write(head("/apogee/predict", with_key(either.key), length=1000) + b'{"flight_id":')
        ended = await asyncio.wait_for(reader.read(), 30)
    assert ended.startswith(b"HTTP/1.1 408")


async def test_a_client_that_leaves_in_its_body_is_one_line(either: RunningSystem) -> None:
    # more than HAProxy waits for before it asks a replica
    content = head("/apogee/batch_predict", [*with_key(either.key), "X-Request-ID: leaver"], length=90_000)

    def lines() -> list[dict[str, object]]:
        files = either.settings.logs.glob("*router*.jsonl")
        found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line for line in found if line.get("http_request_id") == "leaver"]

    async def leave() -> bool:
        """Return whether a router has heard of it: a reset may overtake what a proxy has not read yet."""
        before = len(lines())
        async with connections(port_of(either)) as ((_, writer),):
            writer.write(content + b"x" * 40_000)
            await asyncio.sleep(1)
        with suppress(AssertionError):
            await asyncio.to_thread(wait_until, lambda: len(lines()) > before, 10, "a line of the log")
        return len(lines()) > before

    left = 1
    while not await leave():  # the limit of the test ends it
        left += 1
    line, *others = lines()
    assert len(others) < left
    assert (line["status"], line["level"], line["kind"]) == (499, "info", "client-left")
    assert "exception" not in line


async def test_refused_requests_are_logged_with_their_client(fast_system: RunningSystem) -> None:
    await ask(port_of(fast_system), "/apogee/" + "x" * 5000, with_key("wrong"), source="127.0.0.9")
    log = fast_system.settings.logs / "front-door.jsonl"
    (line,) = [json.loads(line) for line in log.read_text().splitlines() if "127.0.0.9" in line]
    assert (line["client"], line["status"], len(line["path"])) == ("127.0.0.9", 401, 200)
