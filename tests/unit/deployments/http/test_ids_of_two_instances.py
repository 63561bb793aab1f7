"""An id that is sent again: with its instance it is answered again, with another one it is refused."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import LocalSystem

CONTRACT = apogee_contract()
SAMPLES, _ = fly(5)


def body(id_: str, end: int = 160) -> dict[str, Any]:
    return instance_of(CONTRACT, SAMPLES[end - 55 : end], "A12") | {"id": id_}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    system.downstream.down.clear()
    async with system.http() as client:
        yield client
    await system.stack.writers.journal.flush()


def journalled(system: LocalSystem, id_: str) -> int:
    return sum(one.id == id_ for _, one in system.store.predictions("apogee"))


@pytest.mark.parametrize("is_written", [False, True], ids=["waits for the store", "in the store"])
async def test_another_instance_under_an_id_is_refused(
    client: httpx.AsyncClient, system: LocalSystem, is_written: bool
) -> None:
    id_ = f"twice-{is_written}"
    first = await client.post("/predict", json=body(id_))
    if is_written:
        await system.stack.writers.journal.flush()
    refused = await client.post("/predict", json=body(id_, end=120))
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (409, "urn:problem-type:raysonde:id-in-use")
    assert "send this instance with an id of its own" in problem["detail"]
    batch = {"instances": [body(f"{id_}-other"), body(id_, end=120)]}
    assert (await client.post("/batch_predict", json=batch)).status_code == 409
    again = await client.post("/predict", json=body(id_))
    assert again.json()["prediction"] == first.json()["prediction"]
    # a batch writes the instance in another way
    many = await client.post("/batch_predict", json={"instances": [body(id_), body(f"{id_}-new", end=120)]})
    assert [one["id"] for one in many.json()["predictions"]] == [id_, f"{id_}-new"]
    await system.stack.writers.journal.flush()
    assert (journalled(system, id_), journalled(system, f"{id_}-other")) == (1, 0)
    assert system.stack.writers.predictions.reused_ids == 0


async def test_an_id_without_an_answer_is_free(client: httpx.AsyncClient, system: LocalSystem) -> None:
    system.downstream.down |= set(system.versions)
    assert (await client.post("/predict", json=body("failed"))).status_code == 503
    assert (await client.post("/batch_predict", json={"instances": [body("failed")]})).status_code == 503
    system.downstream.down.clear()
    assert (await client.post("/predict", json=body("failed", end=120))).status_code == 200


async def test_the_store_is_not_asked_about_ids_of_ours(
    client: httpx.AsyncClient, system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a look into the store")

    monkeypatch.setattr(type(system.store), "payloads", fail)
    one = {name: value for name, value in body("").items() if name != "id"}
    assert (await client.post("/predict", json=one)).status_code == 200
    assert (await client.post("/batch_predict", json={"instances": [one, one]})).status_code == 200


async def test_an_id_that_only_the_journal_meets_is_counted(
    client: httpx.AsyncClient, system: LocalSystem, caplog: pytest.LogCaptureFixture
) -> None:
    await client.post("/predict", json=body("met-late"))
    await system.stack.writers.journal.flush()
    (row,) = [one for _, one in system.store.predictions("apogee") if one.id == "met-late"]
    # as of another router replica
    system.stack.writers.journal.add([row._replace(payload='{"flight_id": "B07"}')])
    await system.stack.writers.journal.flush()
    assert system.stack.writers.predictions.reused_ids == 1
    assert "1 predictions are not journalled, 1 so far" in caplog.text
    sent = await client.post("/feedback", json={"id": "met-late", "truth": {"apogee_m": 1000.0}})
    assert sent.json() == {"accepted": 0, "duplicate": 0, "unmatched": 1, "conflicting": 0}
