"""Reentry over HTTP: its answers, and single points that are completed by those sent before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.http.app import build_api
from deployments.inference.stack import build_stack
from deployments.requests.parser import InstanceParser
from deployments.store import Store
from tests.support.reentry import points_of, reentry_contract, reentry_parts, reentry_prepared
from tests.support.serving import ARMS, LocalSystem
from training.runtime.inference import load_model

CONTRACT = reentry_contract()
POINTS = points_of("booster", 24)["samples"]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path, reentry_parts) as system:
        yield system


def body(samples: list[dict[str, Any]], track: str, **more: Any) -> dict[str, Any]:
    return {"track_id": track, "sensor_id": "S1", "samples": samples, **more}


async def test_an_answer_names_a_phase_with_its_probability(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict", json=points_of("capsule", 10))).json()
    assert answer["prediction"]["phase"] == "reentry"
    assert answer["prediction"]["probability"] == max(answer["prediction"]["probabilities"].values())
    assert "reentry" in answer["prediction_set"]["phase"]
    example = (await client.post("/predict", json=CONTRACT.example)).json()
    assert example["prediction"]["phase"] == "reentry"


def test_a_small_model_beats_the_most_frequent_class() -> None:
    card = reentry_parts("random_forest").card
    assert card.metrics["f1"] > 0.85
    assert card.baselines["most_frequent"]["roc_auc"] == 0.5
    assert set(card.baselines) == {"most_frequent", "altitude_threshold"}
    share = reentry_prepared().splits.train.target.mean()
    assert 0.15 < share < 0.5


async def test_single_points_are_refused_until_there_are_ten(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    answers = [await client.post("/predict", json=body([point], "single")) for point in POINTS[:12]]
    assert [answer.status_code for answer in answers] == [422] * 9 + [200] * 3
    assert answers[2].json()["field"] == "samples"
    assert "got '3 points', expected at least 10 points, each within 60 s" in answers[2].text
    whole = await client.post("/predict", json=body(POINTS[2:12], "single"))
    assert answers[-1].json()["prediction"] == whole.json()["prediction"]


async def test_a_short_instance_is_completed_and_its_payload_can_be_recomputed(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    await client.post("/predict", json=body(POINTS[:12], "short"))
    answer = (await client.post("/predict", json=body(POINTS[12:15], "short", id="short-1"))).json()
    await system.stack.close()
    (row,) = (r for _, r in system.store.predictions("reentry") if r.id == "short-1")
    again = InstanceParser(CONTRACT).parse_instance(row.payload.encode())
    np.testing.assert_array_equal(again.raw[:, 0], [point["timestamp"] for point in POINTS[5:15]])
    version = system.versions[answer["arm"]]
    offline = load_model(system.cache.fetch(version.bundle, version.source)).predict(again.raw[None])
    assert answer["prediction"]["probability"] == pytest.approx(offline["probability"].max(), rel=1e-9)


async def test_another_replica_and_a_restart_know_the_points(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    for point in POINTS[:6]:
        await client.post("/predict", json=body([point], "elsewhere"))
    store = Store(f"sqlite:///{Path(str(system.store.engine.url.database))}")
    other = build_stack(CONTRACT, ARMS, system.downstream, store, system.cache)
    await other.follower.poll()
    transport = httpx.ASGITransport(build_api(other))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        answers = [
            await elsewhere.post("/predict", json=body([point], "elsewhere")) for point in POINTS[6:11]
        ]
    await other.close()
    store.close()
    assert [answer.status_code for answer in answers] == [422] * 3 + [200] * 2


async def test_what_does_not_belong_to_a_track_does_not_complete_it(client: httpx.AsyncClient) -> None:
    await client.post("/predict", json=body(POINTS[:9], "mine"))
    refused = await client.post("/predict", json=body(POINTS[9:10], "other"))
    assert refused.status_code == 422
    late = {**POINTS[9], "timestamp": POINTS[8]["timestamp"] + 61}
    assert "got '1 point'" in (await client.post("/predict", json=body([late], "mine"))).text
    # the late one is kept, and does no harm to what belongs before it
    assert (await client.post("/predict", json=body(POINTS[9:10], "mine"))).status_code == 200


async def test_a_batch_is_not_completed(client: httpx.AsyncClient) -> None:
    await client.post("/predict", json=body(POINTS[:12], "batch"))
    refused = await client.post("/batch_predict", json={"instances": [body(POINTS[12:13], "batch")]})
    assert (refused.status_code, refused.json()["field"]) == (422, "instances[0].samples")
