"""HTTP of promotions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion
from tests.support.serving import LocalSystem

NEW = ArmVersion(model_version="2", bundle="sha256:2", source="/models/2")


@pytest.fixture
def system(tmp_path: Path, store_url: str) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path, store_url=store_url) as system:
        yield system


async def test_a_version_is_requested_and_its_promotion_is_shown(client: httpx.AsyncClient) -> None:
    response = await client.post("/arms/mlp/promote", json={"model_version": "2", "note": "new sensor"})
    assert response.status_code == 202
    requested = Promotion.model_validate(response.json())
    assert (requested.state, requested.arm, requested.model_version, requested.by) == (
        "asked",
        "mlp",
        "2",
        "api",
    )
    assert (await client.get(f"/promotions/{requested.id}")).json() == response.json()
    assert (await client.get("/promotions")).json() == [response.json()]
    again = await client.post("/arms/mlp/promote", json={"model_version": "3"})
    assert again.status_code == 409
    assert "version 2 is asked now" in again.json()["detail"]


async def test_the_version_before_is_requested(client: httpx.AsyncClient, system: LocalSystem) -> None:
    nothing = await client.post("/arms/mlp/rollback")
    assert nothing.status_code == 409
    assert "no version before" in nothing.json()["detail"]
    before = system.versions["mlp"]
    system.store.put_arm("apogee", "mlp", NEW)
    response = await client.post("/arms/mlp/rollback", json={"note": "too high"})
    assert response.status_code == 202
    assert (response.json()["model_version"], response.json()["note"]) == (before.model_version, "too high")


async def test_one_that_is_under_way_is_aborted(client: httpx.AsyncClient, system: LocalSystem) -> None:
    requested = (await client.post("/arms/mlp/promote", json={"model_version": "2"})).json()
    path = f"/promotions/{requested['id']}/abort"
    response = await client.post(path, json={"note": "not today"})
    assert response.status_code == 202
    aborted = Promotion.model_validate(response.json())
    assert (aborted.state, aborted.note, aborted.reason) == (
        "aborted",
        "not today",
        "api aborted it while it was asked.",
    )
    assert (await client.get(f"/promotions/{requested['id']}")).json() == response.json()
    *_, act = system.store.audit_events("apogee")
    assert (act.kind, act.actor, act.detail["state"]) == ("promotion", "api", "aborted")
    again = await client.post(path)
    assert (again.status_code, "has ended, it is aborted" in again.json()["detail"]) == (409, True)
    assert (await client.post("/arms/mlp/promote", json={"model_version": "3"})).status_code == 202


async def test_one_of_another_workload_is_not_aborted(client: httpx.AsyncClient, system: LocalSystem) -> None:
    other = system.store.promotions.promote("weather", "gru", "2", "api", "")
    assert (await client.post(f"/promotions/{other.id}/abort")).status_code == 404
    assert (await client.post("/promotions/none/abort")).status_code == 404
    assert system.store.promotions.get(other.id).is_open


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/arms/mlp/promote", b"{", 400, "not JSON"),
        ("/arms/mlp/promote", b"{}", 422, "model_version"),
        ("/arms/mlp/promote", b'{"model_version": 3}', 422, "model_version: got 3"),
        ("/arms/mlp/promote", b'{"model_version": "3", "why": "x"}', 422, "why: got 'x'"),
        ("/arms/none/promote", b'{"model_version": "3"}', 404, "no arm 'none'"),
        ("/arms/none/rollback", b"", 404, "no arm 'none'"),
        ("/arms/mlp/rollback", b'{"note": 3}', 422, "note: got 3"),
    ],
)
async def test_what_cannot_be_is_refused_and_recorded_nowhere(
    client: httpx.AsyncClient, system: LocalSystem, path: str, body: bytes, status: int, detail: str
) -> None:
    response = await client.post(path, content=body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert detail in response.json()["detail"]
    assert system.store.promotions.latest("apogee") == []


async def test_a_promotion_of_another_workload_is_not_there(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    other = system.store.promotions.promote("weather", "gru", "2", "api", "")
    assert (await client.get(f"/promotions/{other.id}")).status_code == 404
    assert (await client.get("/promotions/none")).status_code == 404
