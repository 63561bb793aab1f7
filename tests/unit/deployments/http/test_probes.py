"""A probe is answered as any request, recorded as a probe, and counts for nothing else."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from deployments.inference.recording.writers import Writers
from deployments.store import PredictionRecord
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


@pytest.mark.parametrize("value", ["yes", "", "2", "11"])
async def test_another_value_is_refused(client: httpx.AsyncClient, value: str) -> None:
    refused = await client.post("/predict", json=body("x"), headers={"Raysonde-Probe": value})
    assert (refused.status_code, refused.json()["field"]) == (422, "Raysonde-Probe")
