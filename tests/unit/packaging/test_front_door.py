"""The front door of HAProxy, by the real binary: who has not shown the key costs no place at a replica."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.domain.errors import Unauthorized
from deployments.http.auth import check_key
from deployments.http.problems import to_problem
from tests.support.conditions import wait_for
from tests.support.front_door import (
    FrontDoor,
    ask,
    connections,
    front_door,
    head,
    read_answer,
    statuses,
    with_key,
)

# a fifth of what they are
TIMES = {
    "timeout http-request 5s": "timeout http-request 1s",
    "wait-for-body time 5s": "wait-for-body time 1s",
    "timeout client 10s": "timeout client 2s",
    "timeout tarpit 2s": "timeout tarpit 400ms",
}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[FrontDoor]:
    async with front_door(tmp_path, times=TIMES) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer the-right+key/of=this"],
        ["Authorization: bearer   the-right+key/of=this "],
        ["Cookie: other=1; raysonde_key=the-right+key/of=this"],
        ['Cookie: raysonde_key="the-right+key/of=this"'],
    ],
)
async def test_the_key_lets_in(door: FrontDoor, headers: list[str]) -> None:
    assert (await ask(door.port, headers=headers)).status == 200
    assert len(door.replicas["apogee"].requests) == 1


async def test_a_link_with_the_key_lets_in(door: FrontDoor) -> None:
    link = "/apogee/info?page=2&key=the-right%2Bkey%2Fof%3Dthis"
    assert (await ask(door.port, link)).status == 200
    assert (await ask(door.port, "/apogee/info?key=wrong", with_key())).status == 401
    assert (await ask(door.port, link, method="POST")).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Authorization: Bearer wrong"],
        ["Authorization: Basic the-right+key/of=this"],
        ["Authorization: the-right+key/of=this"],
        ["Authorization: "],
        ["Authorization: Bearer the-right+key/of=thi"],
        ["Authorization: Bearer THE-RIGHT+KEY/OF=THIS"],
        ["Authorization: Bearer wrong", "Cookie: raysonde_key=the-right+key/of=this"],
        ["Cookie: raysonde_key=wrong"],
    ],
)
async def test_who_has_not_the_key_reaches_no_replica(door: FrontDoor, headers: list[str]) -> None:
    for path in ("/apogee/info", "/", "/healthz", "/-/readyx", "/-/healthz/..", "//-/healthz"):
        answer = await ask(door.port, path, headers, body=b"{}", method="POST")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
    assert door.replicas["apogee"].requests == door.replicas["root"].requests == []


@pytest.mark.parametrize("sent", [None, "Bearer wrong"])
async def test_the_answer_is_the_one_of_a_replica(door: FrontDoor, sent: str | None) -> None:
    with pytest.raises(Unauthorized) as refused:
        check_key(sent, "right")
    expected = to_problem(refused.value, '/apogee/in"fo').model_dump(exclude_none=True)
    answer = await ask(door.port, '/apogee/in"fo', [f"Authorization: {sent}"] if sent else [])
    assert json.loads(answer.body) == expected


async def test_paths_without_a_key_and_head(door: FrontDoor) -> None:
    for method in ("GET", "HEAD"):
        for path in ("/-/healthz", "/-/routes"):
            answer = await ask(door.port, path, method=method)
            assert (answer.status, answer.headers["x-content-type-options"]) == (200, "nosniff")
            assert answer.headers["connection"] == "close"


async def test_stalled_bodies_without_the_key_hold_nothing(door: FrontDoor) -> None:
    """128 of them had every other request wait for a place, as long as they liked."""
    async with connections(door.port, 200) as stalled:
        for _, writer in stalled:
            writer.write(head("/apogee/predict", with_key("wrong"), length=1000))
        valid = [await ask(door.port, headers=with_key()) for _ in range(20)]
        assert statuses(valid) == {200: 20}
        answers = [await read_answer(reader) for reader, _ in stalled]
        assert statuses(answers) == {401: 20, 429: 180}
        for reader, _ in stalled:
            assert await reader.read() == b""  # and the connection is closed
    assert door.replicas["apogee"].most == 1


async def test_half_a_head_is_ended(door: FrontDoor) -> None:
    async with connections(door.port, 100) as half:
        for _, writer in half:
            writer.write(b"POST /apogee/predict HTTP/1.1\r\nHost: ")
        began_s = time.monotonic()
        assert (await ask(door.port, headers=with_key())).status == 200
        answers = [await read_answer(reader) for reader, _ in half]
    assert statuses(answers) == {408: 100}
    assert 0.8 < time.monotonic() - began_s < 3


@pytest.mark.parametrize("sent", [0, 1000, 40_000])
async def test_a_body_that_stalls_is_ended_with_the_key_too(door: FrontDoor, sent: int) -> None:
    async with connections(door.port) as ((reader, writer),):
        writer.write(head("/apogee/predict", with_key(), length=60_000) + b"x" * sent)
        began_s = time.monotonic()
        answer = await read_answer(reader)
        # HAProxy calls it 400 once the replica has the head
        assert answer.status == (408 if sent < 16_384 else 400)
        assert json.loads(answer.body)["status"] == answer.status
        assert await reader.read() == b""
        assert time.monotonic() - began_s < 4
    # a small one has not come to a replica at all
    assert len(door.replicas["apogee"].requests) == (sent > 16_384)
    await asyncio.sleep(0.1)
    assert door.replicas["apogee"].in_progress == 0


async def test_a_slow_honest_upload_passes(door: FrontDoor) -> None:
    """Twice as long as any limit of the configuration."""
    async with connections(door.port) as ((reader, writer),):
        size = 4_000_000
        writer.write(head("/apogee/batch_predict", with_key(), length=size))
        for _ in range(20):
            writer.write(b"x" * (size // 20))
            await writer.drain()
            await asyncio.sleep(0.2)
        answer = await read_answer(reader)
    assert (answer.status, answer.body) == (200, str(size).encode())


async def test_a_replica_may_work_for_longer_than_a_client_may_be_silent(door: FrontDoor) -> None:
    door.replicas["apogee"].answer_after_s = 3.0
    assert (await ask(door.port, "/apogee/predict", with_key(), method="POST", body=b"{}")).status == 200


async def test_wrong_keys_are_slowed_down_and_right_ones_are_not(door: FrontDoor) -> None:
    wrong, right = with_key("wrong"), with_key()
    first = [await ask(door.port, headers=wrong) for _ in range(20)]
    assert statuses(first) == {401: 20}
    began_s = time.monotonic()
    slowed = await ask(door.port, headers=wrong)
    assert time.monotonic() - began_s >= 0.4
    assert (slowed.status, slowed.headers["retry-after"]) == (429, "10")
    assert json.loads(slowed.body)["type"] == "urn:problem-type:raysonde:too-many-requests"
    assert statuses([await ask(door.port, headers=right) for _ in range(20)]) == {200: 20}
    assert (await ask(door.port, headers=wrong, source="127.0.0.2")).status == 401


async def test_refused_requests_are_logged_with_their_client(door: FrontDoor) -> None:
    path = "/apogee/" + '"x' * 400
    sent = ["X-Request-ID: mine", "X-Forwarded-For: 10.1.2.3"]
    for _ in range(20):
        await ask(door.port, path, sent, source="127.0.0.3")
    # these wait for their answers
    await asyncio.gather(*(ask(door.port, path, sent, source="127.0.0.3") for _ in range(20)))
    await ask(door.port, headers=with_key())
    await wait_for(lambda: len(door.lines()) >= 5, 10)
    lines = door.lines()
    assert len(lines) == 5
    for line in lines:
        assert (line["client"], line["forwarded_for"], line["status"]) == ("127.0.0.3", "10.1.2.3", 401)
        assert (line["http_request_id"], line["kind"]) == ("mine", "unauthorized")
        assert str(line["path"]).startswith("/apogee/")
        assert len(str(line["path"])) <= 200
    assert "wrong" not in door.log.read_text()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"X-Request-ID: mine-1", "mine-1"),
        (b"X-Request-ID: \xe9\xff", None),
        (b"X-Request-ID: " + b"x" * 8000, None),
        (b"X-Request-ID: a\r\nX-Request-ID: b", None),
        (b"X-Request-Timeout-Seconds: \xff", None),
        (b"X-Session-ID: \xff", None),
        (b"serve-multiplexed-model-id: \xff", None),
        (b"X-Other: 1", None),
    ],
)
async def test_headers_that_serve_reads_are_ascii_and_short(
    door: FrontDoor, sent: bytes, kept: str | None
) -> None:
    assert (await ask(door.port, headers=[*with_key(), sent])).status == 200
    (came,) = door.replicas["apogee"].requests
    assert came.isascii()
    assert len(came) < 500
    lines = [line.split(": ", 1)[1] for line in came.split("\r\n") if line.lower().startswith("x-request-id")]
    (found,) = lines
    assert found == (kept or found)
    assert kept or len(found) == 36


async def test_no_address_may_have_all_connections(tmp_path: Path) -> None:
    few = {"maxconn 4096": "maxconn 40", "gt 3072": "gt 30", "gt 1024": "gt 10"}
    async with front_door(tmp_path, times=few) as door, connections(door.port, 10) as held:
        for _, writer in held:
            writer.write(b"GET /apogee/info HTTP/1.1\r\n")
        await asyncio.sleep(0.2)  # the threads of HAProxy accept in no order
        with suppress(ConnectionError):
            assert (await ask(door.port, headers=with_key())).status == 0
        assert (await ask(door.port, headers=with_key(), source="127.0.0.2")).status == 200
        # who has shown the key may have more of them
        async with connections(door.port, 20, source="127.0.0.2") as more:
            for _, writer in more:
                writer.write(head("/apogee/info", with_key(), method="GET"))
            assert statuses([await read_answer(reader) for reader, _ in more]) == {200: 20}


QUICK = {
    "inter 2s fastinter 500ms downinter 500ms": "inter 100ms",
    "timeout check 2s": "timeout check 300ms",
    "ge 2500": "ge 500",
}


@pytest.mark.parametrize(
    ("ready", "text", "status"),
    [
        (200, b"{}", 200),
        (503, b"{}", 503),
        (500, b"Internal Server Error", 503),
        # of an application of a user's own, and of Serve, which has no application there
        (404, b"not here", 200),
        (404, b"Path '/apogee' not found. Ping http://.../-/routes for available routes.", 503),
    ],
)
@pytest.mark.parametrize("only_fallback", [False, True])
async def test_readiness_is_what_serves_says(
    tmp_path: Path, ready: int, text: bytes, status: int, only_fallback: bool
) -> None:
    """After a deploy that failed nothing serves but the fallback, Serve's own proxy."""
    quick = QUICK | ({"inter 5s backup": "inter 100ms backup"} if only_fallback else {})
    async with front_door(tmp_path, times=quick, only_fallback=only_fallback) as door:
        door.replicas["apogee"].ready, door.replicas["apogee"].text = ready, text
        await asyncio.sleep(1)
        assert (await ask(door.port, "/-/ready")).status == status


async def test_readiness_is_what_the_replicas_of_every_workload_say(tmp_path: Path) -> None:
    async with front_door(tmp_path, ("apogee", "weather", "root"), QUICK) as door:
        # a new server counts once it was asked
        assert (await ask(door.port, "/-/ready")).status == 503
        await asyncio.sleep(0.6)
        answer = await ask(door.port, "/-/ready")
        assert (answer.status, answer.body) == (200, b'{"status":"ready"}')
        assert (await ask(door.port, "/-/ready", method="HEAD")).status == 200
        door.replicas["root"].ready = 503
        await asyncio.sleep(0.4)
        assert (await ask(door.port, "/-/ready")).status == 200
        door.replicas["weather"].ready = 503
        await asyncio.sleep(0.4)
        answer = await ask(door.port, "/-/ready")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert (await ask(door.port, "/-/ready/any")).status == 200
        # requests go to it all the same
        assert (await ask(door.port, "/weather/info", with_key())).status == 200
        door.replicas["weather"].ready = 200
        await asyncio.sleep(0.4)
        assert (await ask(door.port, "/-/ready")).status == 200
        door.replicas["apogee"].hangs = True
        await asyncio.sleep(1)
        assert (await ask(door.port, "/-/ready")).status == 503
        door.replicas["weather"].ready = 503
        await asyncio.sleep(0.4)
        assert (await ask(door.port, "/-/ready/any")).status == 503
        assert all(not replica.requests or name == "weather" for name, replica in door.replicas.items())


async def test_without_a_key_that_can_be_read_the_replicas_decide(tmp_path: Path) -> None:
    async with front_door(tmp_path, RAYSONDE_KEY_SHA256="unknown") as door:
        assert (await ask(door.port, headers=with_key("any"))).status == 200
