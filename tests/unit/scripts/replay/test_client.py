"""The HTTP client of the commands."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest

from scripts.replay.client import ApiRefused, Connection, FeedbackCounts, NotRunning, WorkloadClient
from tests.support.models import apogee_contract
from tests.support.serving import ARMS, LocalSystem
from training.runtime.settings import Settings

TARGET = apogee_contract().target


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, tmp_path, "sqlite://", "sqlite://")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSONDE_URL", raising=False)
    monkeypatch.delenv("RAYSONDE_API_KEY", raising=False)


def test_connection_defaults_to_this_machine_without_a_key(settings: Settings) -> None:
    assert Connection.find(settings) == Connection("http://127.0.0.1:8000", None)


def test_connection_reads_the_key_of_this_checkout(settings: Settings) -> None:
    settings.api_key_file.write_text("from-file\n")
    assert Connection.find(settings).key == "from-file"


def test_environment_goes_before_files_and_arguments_before_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.api_key_file.write_text("from-file")
    monkeypatch.setenv("RAYSONDE_API_KEY", "from-environment")
    monkeypatch.setenv("RAYSONDE_URL", "http://there:1/")
    assert Connection.find(settings) == Connection("http://there:1", "from-environment")
    assert Connection.find(settings, "http://here:2").url == "http://here:2"


async def test_nothing_there_says_how_to_start_it() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Connection(url, None).open() as http:
            with pytest.raises(NotRunning, match=r"nothing answers at .* start it with `raysonde up`"):
                await WorkloadClient(http, "apogee", TARGET).arms()


async def test_the_key_is_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer the-key"
        return httpx.Response(200, json={"arms": {"mlp": {}, "linear": {}}})

    connection = Connection("http://system", "the-key")
    async with connection.open(transport=httpx.MockTransport(answer)) as http:
        assert await WorkloadClient(http, "apogee", TARGET).arms() == ["mlp", "linear"]


async def test_a_problem_document_becomes_its_reason(tmp_path: Path) -> None:
    async with LocalSystem(tmp_path).client() as client:
        with pytest.raises(ApiRefused) as caught:
            await client.predict(b'{"flight_id": "A12", "samples": 7}')
    assert caught.value.status == 422
    assert caught.value.detail.startswith("samples: got 7, expected ")


async def test_an_arm_is_named_or_the_system_chooses(tmp_path: Path) -> None:
    system = LocalSystem(tmp_path)
    instance = orjson.dumps(system.contract.example)
    async with system.client() as client:
        assert set(await client.arms()) == set(ARMS)
        assert {arm: (await client.predict(instance, arm)).arm for arm in ARMS} == {arm: arm for arm in ARMS}
        chosen = {(await client.predict(instance)).arm for _ in range(4)}
    assert len(chosen) == 1  # the flight sticks to its arm
    named = [row.named for _, row in system.store.predictions("apogee")]
    assert named == [True] * len(ARMS) + [False] * 4


@pytest.mark.parametrize(
    ("body", "reason"), [(b"upstream is gone", "upstream is gone"), (b"", "Bad Gateway")]
)
async def test_an_answer_that_is_no_problem_document_is_quoted(body: bytes, reason: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, content=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://system") as http:
        with pytest.raises(ApiRefused, match=f"502: {reason}"):
            await WorkloadClient(http, "apogee", TARGET).arms()


async def test_truths_go_in_lists_of_a_thousand() -> None:
    sizes = []

    def take(request: httpx.Request) -> httpx.Response:
        sizes.append(len(orjson.loads(request.content)["items"]))
        return httpx.Response(202, json={"accepted": sizes[-1] - 1, "duplicate": 1, "unmatched": 0})

    async with httpx.AsyncClient(transport=httpx.MockTransport(take), base_url="http://system") as http:
        truths = {str(number): np.array(1.0) for number in range(2001)}
        counts = await WorkloadClient(http, "apogee", TARGET).feedback(truths)
    assert sizes == [1000, 1000, 1]
    assert counts == FeedbackCounts(accepted=1998, duplicate=3, unmatched=0)
