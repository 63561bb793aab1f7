"""The calories workload behind the API: answers, ids as they were sent, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.serving import ARMS, LocalSystem
from tests.support.tables import calories_parts
from training.runtime.inference import load_model

WORKOUT = {
    "id": 750000,
    "Sex": "male",
    "Age": 45,
    "Height": 177.0,
    "Weight": 81.0,
    "Duration": 7.0,
    "Heart_Rate": 87.0,
    "Body_Temp": 39.8,
}

CONTRACT_FIELDS = [name for name in WORKOUT if name != "id"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    folder: Path = tmp_path_factory.mktemp("calories")
    with LocalSystem(folder, calories_parts) as system:
        yield system


async def test_an_answer_carries_kaggles_id_and_column(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict", json=WORKOUT)).json()
    assert answer["id"] == 750000
    assert list(answer["prediction"]) == list(answer["interval"]) == ["Calories"]
    lower, upper = answer["interval"]["Calories"]
    # Keytel et al. of 81 / 2.2 kg is 27 kcal
    assert lower < answer["prediction"]["Calories"] < upper
    assert answer["prediction"]["Calories"] == pytest.approx(27, rel=0.03)


@pytest.mark.parametrize("arm", ARMS)
async def test_answers_equal_offline_predictions(
    client: httpx.AsyncClient, system: LocalSystem, arm: str
) -> None:
    version = system.versions[arm]
    model = load_model(system.cache.fetch(version.bundle, version.source))
    offline = model.predict(np.array([[1.0, 45, 177, 81, 7, 87, 39.8]]))
    headers = {"Raysonde-Arm": arm}
    answer = (await client.post("/predict", json=WORKOUT | {"id": f"by-{arm}"}, headers=headers)).json()
    assert answer["id"] == f"by-{arm}"
    assert answer["prediction"]["Calories"] == pytest.approx(offline["prediction"][0], rel=1e-9)


async def test_a_batch_answers_every_row_under_its_id(client: httpx.AsyncClient) -> None:
    rows = [WORKOUT | {"id": i, "Duration": 1.0 + i} for i in range(20)]
    answers = (await client.post("/batch_predict", json={"instances": rows})).json()["predictions"]
    assert [answer["id"] for answer in answers] == list(range(20))
    kcal = [answer["prediction"]["Calories"] for answer in answers]
    assert kcal == sorted(kcal)
    for row, answer in zip(rows, answers, strict=True):
        alone = (await client.post("/predict", json=row)).json()
        assert alone["arm"] == answer["arm"]
        assert alone["prediction"]["Calories"] == pytest.approx(answer["prediction"]["Calories"], rel=1e-9)


async def test_truth_joins_by_the_number_or_its_text(client: httpx.AsyncClient, system: LocalSystem) -> None:
    for number in (31, 32):
        await client.post("/predict", json=WORKOUT | {"id": number})
    items = [{"id": 31, "truth": {"Calories": 26.0}}, {"id": "32", "truth": {"Calories": 28.0}}]
    answer = await client.post("/feedback", json={"items": items})
    assert answer.json() == {"accepted": 2, "duplicate": 0, "unmatched": 0, "conflicting": 0}
    joined = {one.prediction.id: one for one in system.store.joined("calories")}
    assert joined["31"].truth == {"Calories": 26.0}
    assert json.loads(joined["32"].prediction.payload) == WORKOUT | {"id": 32}


async def test_the_documentation_is_of_this_contract(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).json()
    schema = (await client.get("/schema")).json()
    assert schema["properties"]["Sex"]["enum"] == ["female", "male"]
    predict = text["paths"]["/predict"]["post"]
    example = predict["requestBody"]["content"]["application/json"]["example"]
    jsonschema.validate(example, schema)
    documented = predict["responses"]["200"]["content"]["application/json"]
    headers = {"Raysonde-Arm": documented["example"]["arm"]}
    answer = (await client.post("/predict", json=example, headers=headers)).json()
    assert answer["prediction"] == documented["example"]["prediction"]
    assert answer["id"] == documented["example"]["id"] == example["id"]
    jsonschema.validate(answer, documented["schema"])
    truth = text["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await client.post("/feedback", json=truth)).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("change", "status", "field", "expected"),
    [
        ({"Sex": "Male"}, 422, "Sex", "one of 'female', 'male'"),
        ({"Sex": 1}, 422, "Sex", "one of 'female', 'male'"),
        ({"Age": None}, 422, "Age", "a finite number of year in [10, 100]"),
        ({"Heart_Rate": 300}, 422, "Heart_Rate", "a finite number of 1/min in [40, 220]"),
        ({"id": 1.5}, 422, "id", "1 to 64 printable characters, or a whole number"),
        ({"Calories": 27}, 422, "Calories", "no field of this name"),
        ({"schema_version": "2"}, 409, "schema_version", "'1.0'"),
    ],
)
async def test_bad_rows_are_refused_by_field(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, field: str, expected: str
) -> None:
    response = await client.post("/predict", json=WORKOUT | change)
    problem = response.json()
    assert (response.status_code, problem["field"]) == (status, field)
    assert problem["expected"].startswith(expected)


ANYTHING = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=2)
)
NO_NUMBER = ANYTHING.filter(lambda value: type(value) not in (int, float))
NO_ID = ANYTHING.filter(lambda value: type(value) in (bool, float, list))
WRONG = dict.fromkeys(WORKOUT, NO_NUMBER | st.sampled_from([1e9, -1e9, float("nan"), float("inf")])) | {
    "id": NO_ID | st.sampled_from(["", 2**53, "x" * 65, "a\nb"]),
    "Sex": ANYTHING.filter(lambda value: value not in ("female", "male")),
    "schema_version": ANYTHING.filter(lambda value: value not in (None, "1.0")),
    "Extra": ANYTHING,
}


@st.composite
def bad_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A good row with one member that no row may have, or without one that every row has."""
    member = draw(st.sampled_from(list(WRONG)))
    row = {name: value for name, value in WORKOUT.items() if name != member}
    if member in CONTRACT_FIELDS and draw(st.booleans()):
        return row
    return row | {member: draw(WRONG[member])}


@pytest.mark.parametrize("path", ["/predict", "/batch_predict"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=bad_rows())
async def test_a_row_with_anything_wrong_is_refused_and_not_journalled(
    client: httpx.AsyncClient, system: LocalSystem, path: str, row: dict[str, Any]
) -> None:
    before = system.store.counts("calories").predictions
    # json writes NaN and Infinity as they are, which JSON does not have
    body = row if path == "/predict" else {"instances": [WORKOUT | {"id": "good"}, row]}
    response = await client.post(path, content=json.dumps(body).encode())
    assert response.status_code in (400, 409, 422), (response.status_code, row)
    assert response.headers["content-type"] == "application/problem+json"
    await system.stack.writers.journal.flush()
    assert system.store.counts("calories").predictions == before
