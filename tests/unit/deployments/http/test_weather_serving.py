"""Weather over HTTP, with real bundles in one process: predictions, truths, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.requests.parser import InstanceParser
from tests.support.serving import LocalSystem
from tests.support.weather import weather_contract, weather_instance, weather_parts

CONTRACT = weather_contract()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    folder = tmp_path_factory.mktemp("weather")
    with LocalSystem(folder, lambda arm, number: weather_parts("ridge", number)) as system:
        yield system


async def test_an_instance_of_five_hours_is_answered(client: httpx.AsyncClient, system: LocalSystem) -> None:
    answer = (await client.post("/predict", json=weather_instance(id="w1"))).json()
    value = answer["prediction"]["temperature_c"]
    lower, upper = answer["interval"]["temperature_c"]
    assert lower < value < upper
    assert abs(value - weather_instance()["samples"][-1]["temperature_c"]) < 5
    raw = InstanceParser(CONTRACT).parse_instance(
        client.build_request("POST", "/", json=weather_instance()).content
    )
    offline = system.downstream
    (row,) = await offline(answer["arm"], system.versions[answer["arm"]], raw.raw[None])
    assert value == pytest.approx(row.prediction["temperature_c"], rel=1e-9)


async def test_the_example_of_the_contract_is_answered(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", json=CONTRACT.example)
    assert response.status_code == 200, response.text


async def test_a_batch_and_its_truths(client: httpx.AsyncClient, system: LocalSystem) -> None:
    instances = [weather_instance(hours=h, id=f"b{h}") for h in (5, 6, 24)]
    answers = (await client.post("/batch_predict", json={"instances": instances})).json()
    assert [one["id"] for one in answers["predictions"]] == ["b5", "b6", "b24"]
    items = [{"id": f"b{h}", "truth": {"temperature_c": 21.5}} for h in (5, 6)]
    response = await client.post("/feedback", json={"items": items})
    assert response.status_code == 202
    refused = await client.post("/feedback", json={"id": "b24", "truth": {"temperature_c": 400}})
    assert (refused.status_code, refused.json()["field"]) == (422, "truth.temperature_c")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("windspeed_mps", 469.0),
        ("temperature_c", 75.0),
        ("pressure_hpa", 101325.0),
        ("time_s", -1.0),
        ("windspeed_mps", None),
        ("temperature_c", "warm"),
    ],
)
async def test_what_is_out_of_range_is_refused_by_its_name(
    client: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = weather_instance()
    body["samples"][2][field] = value
    response = await client.post("/predict", json=body)
    assert response.status_code == 422
    assert response.json()["field"] == f"samples[2].{field}"


async def test_four_hours_are_refused_and_a_pressure_may_be_null(client: httpx.AsyncClient) -> None:
    refused = await client.post("/predict", json=weather_instance(hours=4))
    assert refused.status_code == 422
    body = weather_instance()
    for sample in body["samples"]:
        sample["pressure_hpa"] = None
    assert (await client.post("/predict", json=body)).status_code == 200


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    row=st.integers(0, 4),
    field=st.sampled_from(["time_s", "temperature_c", "windspeed_mps", "pressure_hpa", "humidity"]),
    value=st.one_of(st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=2), st.floats(1e10)),
)
async def test_nothing_bad_is_answered(client: httpx.AsyncClient, row: int, field: str, value: Any) -> None:
    body = weather_instance()
    body["samples"][row][field] = value
    # written with Infinity, which JSON does not have but clients send
    response = await client.post("/predict", content=json.dumps(body))
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
