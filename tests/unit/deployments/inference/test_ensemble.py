"""Ensembles over HTTP, with real bundles in one process: answers, shares, failures, the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.domain.routing import ArmVersion, EnsembleVersion, RoutingTable
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.inference.ensemble_weights import RollingErrors
from deployments.inference.stack import build_stack
from features.workload import load_workload
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import ARMS, POLICY, LocalSystem
from training.runtime.tasks.factory import make_task

CONTRACT = apogee_contract()
TASK = make_task(CONTRACT, load_workload(CONTRACT))
MEMBERS = ("mlp", "linear")
BLEND = {"blend": {"arms": MEMBERS, "window": 40, "min_truths": 10}}
BY_BLEND = {"Raysonde-Arm": "blend"}


def body_of(end: int = 160, **more: Any) -> dict[str, Any]:
    samples, _ = fly(5)
    return instance_of(CONTRACT, samples[end - 55 : end], "A12") | more


def policy(**changes: Any) -> dict[str, Any]:
    return POLICY.model_dump(mode="json") | {"ensembles": BLEND} | changes


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with system.http() as client:
        assert (await client.put("/traffic", json=policy())).status_code == 200
        yield client


async def ask(client: httpx.AsyncClient, arm: str, **body: Any) -> dict[str, Any]:
    response = await client.post("/predict", json=body_of(**body), headers={"Raysonde-Arm": arm})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def shares(client: httpx.AsyncClient) -> list[float]:
    members = (await client.get("/info")).json()["ensembles"]["blend"]["members"]
    return [members[arm]["share"] for arm in MEMBERS]


async def test_an_ensemble_answers_with_the_mean_of_its_members(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    blend = await ask(client, "blend")
    mlp, linear = [await ask(client, arm) for arm in MEMBERS]
    assert (blend["arm"], blend["model_version"], blend["fallback"]) == ("blend", "mlp:1+linear:1", False)
    assert blend["bundle"] == EnsembleVersion.combine(_settings(system), system.versions).bundle
    answers = [one["prediction"]["apogee_m"] for one in (blend, mlp, linear)]
    assert answers[1] != answers[2]
    assert answers[0] == pytest.approx((answers[1] + answers[2]) / 2, rel=1e-12)
    ends = [one["interval"]["apogee_m"] for one in (blend, mlp, linear)]
    assert ends[0] == pytest.approx(np.mean(ends[1:], axis=0), rel=1e-12)


async def test_a_batch_is_blended_row_by_row(client: httpx.AsyncClient) -> None:
    bodies = [body_of(end) for end in range(60, 160, 10)]
    response = await client.post("/batch_predict", json={"instances": bodies}, headers=BY_BLEND)
    answers = response.json()["predictions"]
    assert {answer["arm"] for answer in answers} == {"blend"}
    for body, answer in zip(bodies, answers, strict=True):
        alone = (await client.post("/predict", json=body, headers=BY_BLEND)).json()
        assert answer["prediction"]["apogee_m"] == pytest.approx(alone["prediction"]["apogee_m"], rel=1e-9)


async def test_shares_follow_truths_though_all_traffic_goes_to_the_ensemble(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    await client.put("/traffic", json=policy(weights={"blend": 1}))
    answers = [(await client.post("/predict", json=body_of(id=f"t{i}"))).json() for i in range(20)]
    assert {one["arm"] for one in answers} == {"blend"}
    assert await shares(client) == [0.5, 0.5]
    by_mlp, by_linear = [(await ask(client, arm))["prediction"]["apogee_m"] for arm in MEMBERS]
    # thrice as far from linear as from mlp, so the squares are as 9 to 1
    truth = by_mlp + (by_mlp - by_linear) / 2
    for items in (range(9), range(9, 10)):
        truths = [{"id": f"t{i}", "truth": {"apogee_m": truth}} for i in items]
        await client.post("/feedback", json={"items": truths})
        await system.stack.follower.poll()
        assert await shares(client) == pytest.approx([0.9, 0.1] if 9 in items else [0.5, 0.5])
    answer = await ask(client, "blend")
    assert answer["prediction"]["apogee_m"] == pytest.approx(0.9 * by_mlp + 0.1 * by_linear)
    members = (await client.get("/info")).json()["ensembles"]["blend"]["members"]
    assert [members[arm]["truths"] for arm in MEMBERS] == [10, 10]


async def test_each_replica_comes_to_the_same_shares_by_itself(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    for number in range(15):
        for arm in MEMBERS:
            await ask(client, arm, end=60 + 5 * number, id=f"{arm}{number}")
            item = {"id": f"{arm}{number}", "truth": {"apogee_m": 3000.0 + number}}
            await client.post("/feedback", json=item)
        await system.stack.follower.poll()
    late = build_stack(CONTRACT, ARMS, system.downstream, system.store, system.cache)
    await late.follower.poll()
    table = late.follower.table
    assert table is not None
    (version,) = late.follower.ensembles().values()
    assert list(late.ensemble.shares(version).values()) == await shares(client) != [0.5, 0.5]
    await late.follower.poll()
    assert late.errors.truths(system.versions["mlp"].bundle) == 15


async def test_the_journal_has_what_each_member_predicted(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    blend, mlp, linear = [await ask(client, arm, id=arm) for arm in ("blend", *MEMBERS)]
    await system.stack.close()
    rows = {row.id: row for _, row in system.store.predictions("apogee")}
    assert (rows["blend"].bundle, rows["blend"].arm) == (blend["bundle"], "blend")
    assert rows["blend"].members == {
        one["arm"]: {
            "model_version": "1",
            "bundle": one["bundle"],
            "share": 0.5,
            "prediction": one["prediction"],
            "interval": one["interval"],
            "coverage": 0.9,
            "outlier_score": one["outlier_score"],
            "level": None,
        }
        for one in (mlp, linear)
    }
    assert rows["mlp"].members is None


async def test_without_a_member_the_next_arm_answers(client: httpx.AsyncClient, system: LocalSystem) -> None:
    await client.put("/traffic", json=policy(weights={"blend": 1}, fallback=["random_forest"]))
    system.downstream.down.add("linear")
    answer = (await client.post("/predict", json=body_of())).json()
    assert (answer["arm"], answer["fallback"]) == ("random_forest", True)
    named = await client.post("/predict", json=body_of(), headers=BY_BLEND)
    assert named.status_code == 503
    assert "blend: linear is down" in named.json()["detail"]


async def test_an_ensemble_may_be_a_fallback(client: httpx.AsyncClient, system: LocalSystem) -> None:
    await client.put("/traffic", json=policy(weights={"random_forest": 1}, fallback=["blend"]))
    system.downstream.down.add("random_forest")
    answer = (await client.post("/predict", json=body_of())).json()
    assert (answer["arm"], answer["fallback"]) == ("blend", True)


async def test_a_new_version_of_a_member_starts_without_a_past(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    before = await ask(client, "blend")
    for number in range(12):
        await ask(client, "blend", id=f"b{number}")
        await client.post("/feedback", json={"id": f"b{number}", "truth": {"apogee_m": 3000.0}})
    await system.stack.follower.poll()
    assert await shares(client) != [0.5, 0.5]
    # the forest's bundle in the place of linear's
    system.store.put_arm("apogee", "linear", system.versions["random_forest"])
    await system.stack.follower.poll()
    assert await shares(client) == [0.5, 0.5]
    assert (await ask(client, "blend"))["bundle"] != before["bundle"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ensembles": {"blend": {"arms": ["mlp"]}}}, "ensembles.blend.arms"),
        ({"ensembles": {"blend": {"arms": ["mlp", "mlp"]}}}, "ensembles.blend"),
        ({"ensembles": {"blend": {"arms": ["mlp", "gru"]}}}, "ensembles.blend.arms"),
        ({"ensembles": {"mlp": {"arms": ["random_forest", "linear"]}}}, "ensembles"),
        ({"ensembles": {"blend": {"arms": MEMBERS}, "more": {"arms": ["mlp", "blend"]}}}, "policy"),
        ({"ensembles": {"blend": {"arms": MEMBERS, "window": 0}}}, "ensembles.blend.window"),
        ({"ensembles": {"blend": {"arms": MEMBERS, "window": 5, "min_truths": 6}}}, "ensembles.blend"),
        ({"weights": {"other": 1}}, "weights"),
    ],
)
async def test_policies_that_make_no_sense_are_refused(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    response = await client.put("/traffic", json=policy(**changes))
    assert response.status_code == 422
    assert response.json()["field"] == field, response.text


async def test_an_ensemble_that_was_taken_out_is_not_there(client: httpx.AsyncClient) -> None:
    await client.put("/traffic", json=policy(ensembles={}))
    response = await client.post("/predict", json=body_of(), headers=BY_BLEND)
    assert response.status_code == 422
    assert (await client.get("/info")).json()["ensembles"] == {}


async def test_the_example_of_the_api_page_keeps_the_ensembles(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).json()
    body = text["paths"]["/traffic"]["put"]["requestBody"]["content"]["application/json"]
    assert body["example"]["ensembles"]["blend"]["arms"] == list(MEMBERS)
    before = (await client.get("/traffic")).json()["policy"]
    assert (await client.put("/traffic", json=body["example"])).json()["policy"] == before


def test_an_ensemble_needs_all_its_members(system: LocalSystem) -> None:
    arms = {arm: version for arm, version in system.versions.items() if arm != "linear"}
    table = RoutingTable.model_validate({"revision": 1, "policy": policy(), "arms": arms})
    assert set(table.versions) == {"mlp", "random_forest"}
    assert table.policy.arms == set(ARMS)


def test_the_version_depends_on_bundles_alone_and_fits_the_journal(system: LocalSystem) -> None:
    settings = _settings(system)
    turned = settings.model_copy(update={"arms": settings.arms[::-1]})
    one, other = (EnsembleVersion.combine(each, system.versions) for each in (settings, turned))
    assert (one.bundle, one.model_version) == (other.bundle, "mlp:1+linear:1")
    long = {arm: ArmVersion(model_version="1" * 40, bundle=arm, source="") for arm in MEMBERS}
    assert len(EnsembleVersion.combine(settings, long).model_version) == 64
    # "mlp:" and "+linear:" beside the two versions: as long as it may be, and whole
    just = {arm: ArmVersion(model_version="1" * 26, bundle=arm, source="") for arm in MEMBERS}
    assert EnsembleVersion.combine(settings, just).model_version == f"mlp:{'1' * 26}+linear:{'1' * 26}"


async def test_a_long_journal_is_read_from_near_its_end(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    for number in range(12):
        await ask(client, "mlp", id=str(number))
        await client.post("/feedback", json={"id": str(number), "truth": {"apogee_m": 3000.0}})
    errors, bundle = RollingErrors(), system.versions["mlp"].bundle
    tracker = EnsembleErrorTracker(system.store, "apogee", CONTRACT.target, TASK, errors, start_rows=5)
    await tracker.catch_up()
    assert errors.truths(bundle) == 5
    await ask(client, "mlp", id="new")
    await client.post("/feedback", json={"id": "new", "truth": {"apogee_m": 3000.0}})
    await tracker.catch_up()
    assert errors.truths(bundle) == 6


def _settings(system: LocalSystem) -> Any:
    table = RoutingTable.model_validate({"revision": 1, "policy": policy(), "arms": system.versions})
    return table.policy.ensembles["blend"]
