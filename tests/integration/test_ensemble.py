"""An ensemble on the running system: configuration at run time, answered by deployments that are there."""

from __future__ import annotations

import sqlite3

import pytest

from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.system import RunningSystem, wait_until

pytestmark = pytest.mark.integration
MEMBERS = ("mlp", "linear")
CONTRACT = apogee_contract()


def test_a_blend_is_the_mean_of_members_over_serve(system: RunningSystem) -> None:
    samples, _ = fly(6)
    body = instance_of(CONTRACT, samples[100:156], "blended")
    with system.client() as client:
        before = client.get("/traffic").json()["policy"]
        blend = {"blend": {"arms": MEMBERS}}
        assert client.put("/traffic", json=before | {"ensembles": blend}).status_code == 200
        try:
            answers = [
                client.post("/predict", json=body, headers={"Raysonde-Arm": arm}).json()
                for arm in ("blend", *MEMBERS)
            ]
            info = client.get("/info").json()
        finally:
            client.put("/traffic", json=before)
    blended, *by_members = [answer["prediction"]["apogee_m"] for answer in answers]
    assert blended == pytest.approx(sum(by_members) / 2, rel=1e-6)
    versions = [f"{arm}:{system.champions[arm].version}" for arm in MEMBERS]
    assert answers[0]["model_version"] == "+".join(versions)
    assert answers[0]["outlier_score"] == max(answer["outlier_score"] for answer in answers[1:])
    assert [info["ensembles"]["blend"]["members"][arm]["share"] for arm in MEMBERS] == [0.5, 0.5]
    assert info["ensembles"]["blend"]["predictions"] == 1

    def journalled() -> list[tuple[str, float]]:
        database = sqlite3.connect(system.settings.var / "store.db")
        query = "SELECT members, outlier_score FROM predictions WHERE id = ?"
        found = database.execute(query, (answers[0]["id"],)).fetchall()
        database.close()
        return found

    wait_until(lambda: bool(journalled()), 10, "the row of the journal")
    ((members, score),) = journalled()
    assert all(f'"{arm}"' in members for arm in MEMBERS)
    assert score == answers[0]["outlier_score"]
