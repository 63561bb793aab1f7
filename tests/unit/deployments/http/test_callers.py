"""Who sends what is journalled; a probe is answered, recorded as a probe, and counts for nothing else."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from deployments.domain.instances import Caller
from deployments.http.auth import KeyGuard
from deployments.http.door.caller import read_caller
from deployments.inference.recording.writers import Writers
from deployments.store import PredictionRecord
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import truths
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import LocalSystem

CONTRACT = apogee_contract()
PROBE = {"Raysonde-Probe": "1"}


def body(id_: str) -> dict[str, Any]:
    samples, _ = fly(5)
    return instance_of(CONTRACT, samples[105:160], "A12") | {"id": id_}


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
def writers(system: LocalSystem) -> Writers:
    return system.stack.writers


@pytest.fixture
async def client(system: LocalSystem, writers: Writers) -> AsyncIterator[httpx.AsyncClient]:
    async with system.http() as client:
        yield client
    await writers.journal.flush()


def journalled(system: LocalSystem) -> dict[str, PredictionRecord]:
    return {one.id: one for _, one in system.store.predictions("apogee")}


async def test_a_probe_is_answered_and_marked(
    client: httpx.AsyncClient, system: LocalSystem, writers: Writers
) -> None:
    answer = (await client.post("/predict", json=body("p"), headers=PROBE)).json()
    assert answer["prediction"] == (await client.post("/predict", json=body("q"))).json()["prediction"]
    batch = {"instances": [body("b")]}
    assert (await client.post("/batch_predict", json=batch, headers=PROBE)).status_code == 200
    await client.post("/predict", json=body("zero"), headers={"Raysonde-Probe": "0"})
    await writers.journal.flush()
    marked = {id_: one.probe for id_, one in journalled(system).items()}
    assert marked == {"p": True, "q": False, "b": True, "zero": False}
    seen = system.store.monitor_feed.predictions("apogee", 0)
    assert [one.probe for one in seen] == [True, False, True, False]
    since = journalled(system)["p"].created_at
    assert len(system.store.monitor_feed.latest_payloads("apogee", since, 10)) == 2


async def test_a_probe_gets_no_truth(
    client: httpx.AsyncClient, system: LocalSystem, writers: Writers
) -> None:
    await client.post("/predict", json=body("p"), headers=PROBE)
    truths = [{"id": id_, "truth": {"apogee_m": 1000.0}} for id_ in ("p", "early")]
    sent = (await client.post("/feedback", json={"items": truths})).json()
    assert sent == {"accepted": 0, "duplicate": 0, "unmatched": 2, "conflicting": 0}
    await client.post("/predict", json=body("early"), headers=PROBE)
    await writers.journal.flush()
    assert journalled(system).keys() == {"p", "early"}
    assert system.store.joined("apogee") == []
    assert system.store.monitor_feed.truths("apogee", 0) == []
    assert system.store.labelled("apogee", 0) == []
    assert system.store.journal("apogee_m").newest("apogee", CONTRACT.schema_version, 10).until == 0


async def test_the_journal_tells_who_sent_what(system: LocalSystem, writers: Writers) -> None:
    await system.stack.follower.poll()
    guarded = KeyGuard(system.app, "the-key", open_on_loopback=True)
    transport = httpx.ASGITransport(guarded, client=("127.0.0.1", 7))
    truth = {"truth": {"apogee_m": 1000.0}}
    key = {"Authorization": "Bearer the-key", "X-Forwarded-For": "203.0.113.9"}
    # a loopback address on both ends needs no key
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for id_, headers in (("open", {}), ("keyed", key)):
            sent = await client.post("/feedback", json={"id": id_} | truth, headers=headers)
            assert sent.json()["unmatched"] == 1
            assert (await client.post("/predict", json=body(id_), headers=headers)).status_code == 200
            batch = {"instances": [body(f"{id_}-batch")]}
            assert (await client.post("/batch_predict", json=batch, headers=headers)).status_code == 200
    await writers.journal.flush()
    senders = {id_: one.sent_by for id_, one in journalled(system).items()}
    behind = "127.0.0.1 for 203.0.113.9"
    assert senders == {"open": "127.0.0.1", "open-batch": "127.0.0.1", "keyed": behind, "keyed-batch": behind}
    with reading(system.store.engine) as connection:
        found = connection.execute(select(truths.c.id, truths.c.sent_by, truths.c.with_key)).all()
    assert sorted(map(tuple, found)) == [("keyed", behind, True), ("open", "127.0.0.1", False)]
    assert [one.prediction.id for one in system.store.joined("apogee")] == ["keyed"]


def test_what_a_caller_says_of_itself_is_cut() -> None:
    headers = [(b"x-forwarded-for", b"a" * 500), (b"x-forwarded-for", b"\xff\x01 203.0.113.9")]
    caller = read_caller({"type": "http", "headers": headers, "client": ("192.0.2.7", 1)})
    assert caller.address is not None
    assert caller.address.startswith("192.0.2.7 for aaa")
    assert caller.address.endswith("\xff 203.0.113.9")
    assert len(caller.address) <= 120
    assert read_caller({"type": "http", "headers": [], "client": None}) == Caller(None)


@pytest.mark.parametrize("value", ["yes", "", "2", "11"])
async def test_another_value_is_refused(client: httpx.AsyncClient, value: str) -> None:
    refused = await client.post("/predict", json=body("x"), headers={"Raysonde-Probe": value})
    assert (refused.status_code, refused.json()["field"]) == (422, "Raysonde-Probe")
