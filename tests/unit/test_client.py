"""The HTTP client of the commands."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import orjson
import pytest

from features.contract import Contract
from scripts.client import Connection, FeedbackCounts, NotRunning, Refused, WorkloadClient
from tests.support.api import FakeSystem
from training.settings import Settings


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
            with pytest.raises(NotRunning, match=r"nothing answers at .* start it with `make up`"):
                await WorkloadClient(http, "apogee", "apogee_m").arms()


async def test_the_key_is_sent(apogee: Contract) -> None:
    async with FakeSystem(apogee).client() as http:
        assert await WorkloadClient(http, "apogee", "apogee_m").arms() == ["exact", "high"]


async def test_a_problem_document_becomes_its_reason(apogee: Contract) -> None:
    async with FakeSystem(apogee).client(key=None) as http:
        with pytest.raises(Refused, match="401: send the key") as caught:
            await WorkloadClient(http, "apogee", "apogee_m").arms()
    assert (caught.value.status, caught.value.detail) == (401, "send the key")


@pytest.mark.parametrize(
    ("body", "reason"), [(b"upstream is gone", "upstream is gone"), (b"", "Bad Gateway")]
)
async def test_an_answer_that_is_no_problem_document_is_quoted(body: bytes, reason: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, content=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://system") as http:
        with pytest.raises(Refused, match=f"502: {reason}"):
            await WorkloadClient(http, "apogee", "apogee_m").arms()


async def test_truths_go_in_lists_of_a_thousand() -> None:
    sizes = []

    def take(request: httpx.Request) -> httpx.Response:
        sizes.append(len(orjson.loads(request.content)["items"]))
        return httpx.Response(202, json={"accepted": sizes[-1] - 1, "duplicate": 1, "unmatched": 0})

    async with httpx.AsyncClient(transport=httpx.MockTransport(take), base_url="http://system") as http:
        truths = {str(number): 1.0 for number in range(2001)}
        counts = await WorkloadClient(http, "apogee", "apogee_m").feedback(truths)
    assert sizes == [1000, 1000, 1]
    assert counts == FeedbackCounts(accepted=1998, duplicate=3, unmatched=0)
