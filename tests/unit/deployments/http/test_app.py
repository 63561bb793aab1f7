import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.domain.instances import Instance
from deployments.http.app import build_api
from deployments.inference.dispatcher import BatchPacing
from deployments.inference.stack import build_stack
from deployments.requests.parser import InstanceParser
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import ARMS, LocalSystem
from training.runtime.inference import load_model

CONTRACT = apogee_contract()


def body_of(flight: int = 5, end: int = 160, entity: str = "A12") -> dict[str, Any]:
    samples, _ = fly(flight)
    return instance_of(CONTRACT, samples[end - 55 : end], entity)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("system")


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[LocalSystem]:
    with LocalSystem(folder) as system:
        yield system


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    system.downstream.down.clear()
    async with system.http() as client:
        yield client


async def test_an_answer_has_the_form_of_the_design(client: httpx.AsyncClient, system: LocalSystem) -> None:
    answer = (await client.post("/predict", json=body_of() | {"id": "mine"})).json()
    assert list(answer) == [
        *("id", "prediction", "interval", "coverage", "outlier_score", "arm", "model_version", "bundle"),
        *("schema_version", "fallback"),
    ]
    lower, upper = answer["interval"]["apogee_m"]
    assert lower < answer["prediction"]["apogee_m"] < upper
    assert (answer["id"], answer["coverage"], answer["fallback"]) == ("mine", 0.9, False)
    assert answer["bundle"] == system.versions[answer["arm"]].bundle


@pytest.mark.parametrize("arm", ARMS)
async def test_answers_equal_offline_predictions(
    client: httpx.AsyncClient, system: LocalSystem, arm: str
) -> None:
    version = system.versions[arm]
    model = load_model(system.cache.fetch(version.bundle, version.source))
    for end in (60, 100, 160):
        body = body_of(end=end)
        answer = (await client.post("/predict", json=body, headers={"Raysonde-Arm": arm})).json()
        instance = InstanceParser(system.contract).parse_instance(
            httpx.Request("POST", "/", json=body).content
        )
        offline = model.predict(instance.raw[None])
        assert answer["prediction"]["apogee_m"] == pytest.approx(offline["prediction"][0], rel=1e-9)
        assert answer["interval"]["apogee_m"] == pytest.approx(
            [offline["lower"][0], offline["upper"][0]], rel=1e-9
        )


async def test_of_a_batch_what_has_been_answered_is_not_kept(tmp_path: Path) -> None:
    system = LocalSystem(tmp_path, pacing=BatchPacing(part_rows=10))
    await system.stack.follower.poll()
    bodies = [body_of(end=60 + number % 90, entity=f"batch-{number}") for number in range(60)]
    kept = []
    async for part in system.stack.service.predict_batch(orjson.dumps({"instances": bodies}), None):
        assert len(part) == 10
        found = (one for one in gc.get_objects() if type(one) is Instance)
        kept.append(sum(one.entity.startswith("batch-") for one in found))
    # the part that is handed out, and the one that was asked for ahead
    assert [60 - number for number in kept] == [0, 10, 20, 30, 40, 50]
    await system.stack.close()
    system.store.close()


async def test_a_batch_answers_in_order_as_single_requests_do(client: httpx.AsyncClient) -> None:
    bodies = [body_of(end=end, entity=f"F{end}") for end in range(60, 160, 10)]
    batch = (await client.post("/batch_predict", json={"instances": bodies})).json()["predictions"]
    for body, answer in zip(bodies, batch, strict=True):
        alone = (await client.post("/predict", json=body)).json()
        assert alone["arm"] == answer["arm"]
        assert alone["prediction"]["apogee_m"] == pytest.approx(answer["prediction"]["apogee_m"], rel=1e-9)


async def test_an_arm_that_is_down_is_replaced(client: httpx.AsyncClient, system: LocalSystem) -> None:
    first = (await client.post("/predict", json=body_of())).json()
    system.downstream.down = {first["arm"]}
    answer = await client.post("/predict", json=body_of())
    assert (answer.status_code, answer.json()["fallback"]) == (200, True)
    system.downstream.down = set(ARMS)
    refused = await client.post("/predict", json=body_of())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"schema_version": "9.9"}, 409, "schema_version"),
        ({"flight_id": None}, 422, "flight_id"),
        ({"extra": 1}, 422, "extra"),
        ({"samples": []}, 422, "samples"),
        (
            {"samples": [{"time_s": 0, "altitude_m": 1}, {"time_s": 0, "altitude_m": 2}]},
            422,
            "samples[1].time_s",
        ),
        ({"samples": [{"time_s": 0, "altitude_m": 1}, {"time_s": 1, "altitude_m": 2}]}, 422, "samples"),
        (
            {"samples": [{"time_s": 0, "altitude_m": 1}, {"time_s": 9, "altitude_m": 2}]},
            422,
            "samples[1].time_s",
        ),
        ({"samples": [{"time_s": 0, "altitude_m": 1e9}] * 2}, 422, "samples[0].altitude_m"),
        ({"id": "x" * 65}, 422, "id"),
    ],
)
async def test_bad_instances_are_refused_by_field(
    client: httpx.AsyncClient, system: LocalSystem, change: dict[str, Any], status: int, field: str | None
) -> None:
    before = system.store.counts("apogee").predictions
    response = await client.post("/predict", json=body_of() | change)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    problem = response.json()
    assert problem.get("field") == field
    assert problem["status"] == status
    await system.stack.close()
    assert system.store.counts("apogee").predictions == before


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["weights", "fallback", "sticky", "deadline_s", "deadlines_s", "breaker", "cache"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(MEMBERS, JSON, max_size=4) | JSON)
async def test_a_policy_that_is_none_is_refused_by_a_documented_status(
    client: httpx.AsyncClient, content: Any
) -> None:
    """What else is posted is in test_bad_input."""
    response = await client.put("/traffic", content=_dumps(content))
    assert response.status_code in (400, 409, 413, 422)
    assert response.headers["content-type"] == "application/problem+json"


def _dumps(content: Any) -> bytes:
    import json

    return json.dumps(content).encode()  # writes NaN and Infinity as they are, which JSON does not have


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content=b" " * (2 << 20))
    assert response.status_code == 413

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    assert (await client.post("/predict", content=parts())).status_code == 413


async def test_truth_is_counted_and_joined(client: httpx.AsyncClient, system: LocalSystem) -> None:
    ids = [(await client.post("/predict", json=body_of())).json()["id"] for _ in range(3)]
    before = system.store.counts("apogee").joined
    items = [{"id": id_, "truth": {"apogee_m": 1280.0}} for id_ in (*ids, ids[0], "not-yet")]
    answer = await client.post("/feedback", json={"items": items})
    counts = {"accepted": 3, "duplicate": 1, "unmatched": 1, "conflicting": 0}
    assert (answer.status_code, answer.json()) == (202, counts)
    assert system.store.counts("apogee").joined == before + 3
    late = await client.post("/predict", json=body_of() | {"id": "not-yet"})
    assert late.status_code == 200
    await system.stack.close()
    assert system.store.counts("apogee").joined == before + 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "a", "truth": {"apogee_m": -1}}, "truth.apogee_m"),
        ({"id": "a", "truth": {"height": 1}}, None),
        ({"id": "a"}, "truth"),
        ({"items": [{"id": "", "truth": {"apogee_m": 1}}]}, "items[0].id"),
        ({"id": "a", "truth": {"apogee_m": 1}, "observed_at": "2026-05-01T12:00:00"}, "observed_at"),
    ],
)
async def test_bad_truth_is_refused_by_field(client: httpx.AsyncClient, body: Any, field: str | None) -> None:
    response = await client.post("/feedback", json=body)
    assert response.status_code == 422
    assert response.json().get("field") == field


async def test_traffic_is_read_and_changed(client: httpx.AsyncClient, system: LocalSystem) -> None:
    table = (await client.get("/traffic")).json()
    changed = table["policy"] | {"weights": {"linear": 1.0}}
    after = await client.put("/traffic", json=changed, headers={"If-Match": str(table["revision"])})
    assert after.json()["revision"] == table["revision"] + 1
    assert (await client.post("/predict", json=body_of())).json()["arm"] == "linear"
    stale = await client.put("/traffic", json=changed, headers={"If-Match": str(table["revision"])})
    assert stale.status_code == 409
    unknown = await client.put("/traffic", json={"weights": {"nobody": 1}})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "weights")
    await client.put("/traffic", json=table["policy"])


async def test_info_lists_what_is_served(client: httpx.AsyncClient, system: LocalSystem) -> None:
    info = (await client.get("/info")).json()
    assert set(info["arms"]) == set(ARMS)
    for arm, shown in info["arms"].items():
        assert shown["bundle"] == system.versions[arm].bundle
        assert shown["metrics"] == {"mae": 1.0}
        assert shown["breaker"] == "closed"


async def test_health_waits_for_every_arm(system: LocalSystem, tmp_path: Path) -> None:
    fresh = LocalSystem(tmp_path)
    fresh.downstream.down = {"mlp"}
    transport = httpx.ASGITransport(build_api(fresh.stack))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/healthz")).status_code == 503
        await fresh.stack.follower.poll()
        waiting = await client.get("/healthz")
        assert (waiting.status_code, waiting.json()["waiting_for"]) == (503, ["mlp"])
        fresh.downstream.down.clear()
        await fresh.stack.follower.poll()
        assert (await client.get("/healthz")).json() == {"status": "ready", "waiting_for": []}
    fresh.store.close()


async def test_health_waits_for_every_replica(system: LocalSystem) -> None:
    elsewhere = ["mlp"]

    async def waiting_for() -> tuple[str, ...]:
        return tuple(elsewhere)

    await system.stack.follower.poll()
    transport = httpx.ASGITransport(build_api(system.stack, waiting_for=waiting_for))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        waiting = await client.get("/healthz")
        assert (waiting.status_code, waiting.json()["waiting_for"]) == (503, ["mlp"])
        elsewhere.clear()
        assert (await client.get("/healthz")).status_code == 200


async def test_a_replica_that_starts_late_answers_before_its_first_poll(system: LocalSystem) -> None:
    late = build_stack(CONTRACT, ARMS, system.downstream, system.store, system.cache)
    assert late.follower.table is None
    late.follower.adopt()
    assert late.follower.table is not None
    assert late.follower.waiting_for == ARMS
    answer = await late.service.predict(orjson.dumps(body_of()), "mlp")
    assert (answer.arm, answer.version) == ("mlp", system.versions["mlp"])
    await late.close()


async def test_the_documented_example_is_answered_as_documented(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).json()
    predict = text["paths"]["/predict"]["post"]
    example = predict["requestBody"]["content"]["application/json"]["example"]
    documented = predict["responses"]["200"]["content"]["application/json"]
    answer = await client.post(
        "/predict", json=example, headers={"Raysonde-Arm": documented["example"]["arm"]}
    )
    assert answer.status_code == 200
    assert answer.json()["prediction"] == documented["example"]["prediction"]
    jsonschema.validate(answer.json(), documented["schema"])
    jsonschema.validate(example, (await client.get("/schema")).json())
