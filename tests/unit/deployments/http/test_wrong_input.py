"""What wrong input costs, and that each kind of it is a caller's: short answers, short turns, nothing kept.

Turns are counted in processor time, so that other work of the machine does not count. Nor do collections of
garbage, which go through all that other tests have imported.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.domain.errors import InvalidFields
from deployments.http.problems import problem_response, to_problem
from features.errors import FieldError, SchemaVersionError
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import LocalSystem

CONTRACT = apogee_contract()
GOOD: dict[str, Any] = instance_of(CONTRACT, fly(5)[0][105:160], "A12")
MOST_ANSWER_BYTES = 64 << 10
MOST_TURN_S = 0.1
MOST_KEPT_BYTES = 5 << 20
MIB = 1 << 20
# a parser of the whole takes several turns' time for it
LONG_MIB = 16


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    system = LocalSystem(tmp_path_factory.mktemp("system"))
    yield system
    system.store.close()


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with system.http() as client:
        yield client


def members(count: int) -> dict[str, int]:
    return {f"member_{number}": number for number in range(count)}


def listed(name: str, item: str, mib: int) -> bytes:
    count = mib * MIB // (len(item) + 1)
    return f'{{"{name}": [{",".join([item] * count)}]}}'.encode()


# name -> (path, body, status)
WRONG: dict[str, tuple[str, bytes, int]] = {
    "unknown members": ("/predict", json.dumps(GOOD | members(40_000)).encode(), 422),
    "some unknown members": ("/predict", json.dumps(GOOD | members(90)).encode(), 422),
    "unknown members of a sample": (
        "/predict",
        json.dumps(GOOD | {"samples": [members(25_000)]}).encode(),
        422,
    ),
    "a long unknown name": ("/predict", json.dumps(GOOD | {"x" * 900_000: 1}).encode(), 422),
    "a long text": ("/predict", json.dumps(GOOD | {"flight_id": "x" * 900_000}).encode(), 422),
    "a long schema version": ("/predict", json.dumps(GOOD | {"schema_version": "x" * 900_000}).encode(), 409),
    "a list": ("/predict", b"[" + b"1," * 500_000 + b"1]", 422),
    "a batch of unknown members": (
        "/batch_predict",
        json.dumps({"instances": [members(30)] * 9999}).encode(),
        422,
    ),
    "a batch without a name": ("/batch_predict", b"[" + b"{}," * (LONG_MIB * MIB // 3) + b"{}]", 422),
    "too many instances": ("/batch_predict", listed("instances", "{}", LONG_MIB), 413),
    "no instances": ("/batch_predict", listed("instances", "1", LONG_MIB), 413),
    "a batch of one text": (
        "/batch_predict",
        listed("instances", '"' + "x" * (LONG_MIB * MIB) + '"', LONG_MIB + 1),
        413,
    ),
    "brackets": ("/batch_predict", b"[" * (LONG_MIB * MIB), 422),
    "brackets in a batch": ("/batch_predict", b'{"instances":' + b"[" * (LONG_MIB * MIB), 413),
    "backslashes": ("/batch_predict", b'{"instances":["' + b"\\" * (LONG_MIB * MIB), 413),
    "spaces": ("/batch_predict", b" " * (LONG_MIB * MIB), 422),
    "an unknown member of a large batch": (
        "/batch_predict",
        listed("instances", json.dumps(GOOD), LONG_MIB)[:-1] + b', "x": 1}',
        422,
    ),
    "no end": ("/batch_predict", listed("instances", json.dumps(GOOD), LONG_MIB)[:-2], 400),
    "too many truths": ("/feedback", listed("items", "{}", LONG_MIB), 413),
    "wrong truths": (
        "/feedback",
        listed("items", '{"id": "a", "truth": {"apogee_m": "x"}}', 1)[:380_000],
        400,
    ),
    "a long single truth": ("/feedback", json.dumps({"id": "a", "x": "y" * LONG_MIB * MIB}).encode(), 422),
    "a long policy": ("/traffic", json.dumps({"weights": members(2000)}).encode(), 422),
    "a longer policy": ("/traffic", json.dumps({"weights": members(20_000)}).encode(), 413),
    "a deep policy": ("/traffic", b'{"weights": ' * 5000, 400),
}


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), 1 << 16):
        yield body[begin : begin + (1 << 16)]
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_input_costs_little(client: httpx.AsyncClient, name: str) -> None:
    path, body, status = WRONG[name]
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        before_s = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            longest_s = max(longest_s, now_s - before_s)
            before_s = now_s

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        watching = asyncio.create_task(watch())
        response = await client.request("PUT" if path == "/traffic" else "POST", path, content=in_parts(body))
        watching.cancel()
        answer_bytes, answered = len(response.content), response.status_code
        del response
        gc.collect()
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert answered == status
    assert answer_bytes <= MOST_ANSWER_BYTES
    assert longest_s < MOST_TURN_S
    assert kept_bytes < MOST_KEPT_BYTES
    # the body, and no second one of it
    assert peak_bytes < 1.3 * len(body) + 24 * MIB


async def test_of_many_errors_twenty_are_told_and_the_others_counted(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/predict", json=GOOD | members(90))).json()
    assert (len(problem["errors"]), problem["more_errors"]) == (20, 70)
    assert problem["detail"].endswith("; and 70 more")
    batch = {"instances": [GOOD, *[{"flight_id": 5, "samples": 5}] * 50]}
    problem = (await client.post("/batch_predict", json=batch)).json()
    assert [one["field"] for one in problem["errors"]] == ["instances[1].flight_id", "instances[1].samples"]
    assert "more_errors" not in problem
    few = (await client.post("/predict", json=GOOD | members(2))).json()
    assert (len(few["errors"]), "more_errors" in few) == (2, False)


long_texts = st.text(max_size=30).map(lambda text: text * 1000) | st.text(max_size=300)
errors = st.builds(FieldError, long_texts, long_texts | st.lists(long_texts), long_texts)


@settings(suppress_health_check=list(HealthCheck), max_examples=50)
@given(
    st.lists(errors, min_size=1, max_size=40),
    long_texts,
    st.sampled_from(["", "\x00", "\U0001f600", '"', "\\"]),
)
def test_no_refusal_is_long(wrong: list[FieldError], path: str, filler: str) -> None:
    worst = FieldError(filler * 10_000, filler * 10_000, filler * 10_000)
    for error in (
        *wrong,
        InvalidFields((*wrong, worst)),
        InvalidFields((worst,) * 40),
        SchemaVersionError(path, "1"),
    ):
        assert len(bytes(problem_response(error, path).body)) <= MOST_ANSWER_BYTES
        assert to_problem(error, path).detail


@pytest.mark.parametrize(
    "path", ["/predict", "/batch_predict", "/feedback", "/traffic", "/retrain", "/arms/mlp/promote"]
)
async def test_a_compressed_body_is_refused_by_name(client: httpx.AsyncClient, path: str) -> None:
    method = "PUT" if path == "/traffic" else "POST"
    refused = await client.request(method, path, content=b"{}", headers={"Content-Encoding": "gzip"})
    assert (refused.status_code, refused.json()["type"]) == (
        415,
        "urn:problem-type:raysonde:unknown-encoding",
    )
    assert "Content-Encoding: got 'gzip'" in refused.json()["detail"]
    plain = await client.request(method, path, content=b"{}", headers={"Content-Encoding": "identity"})
    assert plain.status_code != 415


async def test_a_byte_order_mark_is_skipped(client: httpx.AsyncClient, system: LocalSystem) -> None:
    mark = b"\xef\xbb\xbf"
    bodies = {
        "/predict": GOOD,
        "/batch_predict": {"instances": [GOOD]},
        "/feedback": {"id": "marked", "truth": {"apogee_m": 1}},
        "/retrain": {"note": "marked"},
    }
    for path, body in bodies.items():
        answer = await client.post(path, content=mark + json.dumps(body).encode())
        assert answer.status_code in (200, 202), answer.text
    policy = (await client.get("/traffic")).json()["policy"]
    assert (await client.put("/traffic", content=mark + json.dumps(policy).encode())).status_code == 200


async def test_names_that_were_sent_are_not_kept(client: httpx.AsyncClient) -> None:
    async def send(number: int) -> None:
        sample = {"time_s": 1, f"{number}" + "x" * 900_000: 2}
        response = await client.post("/predict", json=GOOD | {"samples": [sample, sample]})
        assert response.status_code in (413, 422)

    await send(0)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, 20):
            await send(number)
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < MIB


@pytest.fixture
def other_system(tmp_path: Path, store_url: str) -> Iterator[LocalSystem]:
    """Over each kind of store."""
    system = LocalSystem(tmp_path, store_url=store_url)
    yield system
    system.store.close()


@pytest.mark.parametrize("text", ["\x00", "a\x00", "x" * 65, "x" * 5000, "\x85", "\U0001f600" * 64])
async def test_any_text_may_be_an_id_of_a_path_or_a_version(other_system: LocalSystem, text: str) -> None:
    async with other_system.http() as client:
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
        for path in (f"/retrainings/{quoted}", f"/promotions/{quoted}"):
            missing = await client.get(path)
            assert (missing.status_code, missing.json()["title"]) == (404, "There is no such thing")
        assert (await client.post(f"/arms/{quoted}/rollback")).status_code == 404
        version = await client.post("/arms/mlp/promote", json={"model_version": text})
        assert version.status_code == (202 if text.isprintable() and len(text) <= 64 else 422)
        for body in ({"note": text}, {"note": text * 600}):
            assert (await client.post("/retrain", json=body)).status_code in (202, 413, 422)
        assert (await client.post("/retrain", json={"note": "a\x00"})).status_code == 422
        policy = {"weights": {"mlp": 1, text: 1}, "ensembles": {text: {"arms": ["mlp", "linear"]}}}
        named = await client.put("/traffic", json=policy)
        assert named.status_code == (200 if text.isprintable() and len(text) <= 64 else 422)
        for _ in range(3):
            await client.post("/predict", json=GOOD)
    assert other_system.store.counts("apogee").predictions == 3


async def test_many_requests_do_not_make_a_row_grow(other_system: LocalSystem) -> None:
    async with other_system.http() as client:
        for number in range(60):
            answer = await client.post("/retrain", json={"note": f"{number} " + "x" * 490})
    row = answer.json()
    assert (len(row["requests"]), row["more_requests"]) == (20, 40)
    assert row["requests"][0]["note"].startswith("0 ")
    assert row["requests"][-1]["note"].startswith("59 ")
    assert len(answer.content) < 20_000
