"""Shadows with real bundles and a real store: from the request to the pair, and what late replicas load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.actors.base import ReplicaOptions, VersionedReplica
from deployments.actors.router_metrics import router_samples
from deployments.domain.routing import ArmVersion, HeldBack
from deployments.http.request_metrics import RequestCounts
from deployments.store import ShadowRow, StoreUnavailable
from deployments.store.shadow_store import ShadowStore
from tests.support.clocks import NOON
from tests.support.conditions import wait_for
from tests.support.flights import fly, instance_of
from tests.support.models import make_parts
from tests.support.serving import POLICY, LocalSystem
from training.runtime.bundle import Bundle, write_bundle

ALL_TO_MLP = POLICY.model_copy(update={"weights": {"mlp": 1.0}})


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as made:
        made.store.put_policy("apogee", ALL_TO_MLP)
        yield made


@pytest.fixture
def candidate(tmp_path: Path) -> ArmVersion:
    """Another version of mlp."""
    path = tmp_path / "candidate"
    return ArmVersion(model_version="2", bundle=write_bundle(make_parts("mlp", 4), path), source=str(path))


async def send(client: httpx.AsyncClient, system: LocalSystem, *flights: int) -> list[dict[str, object]]:
    """Requests and their truths; the answers."""
    answers = []
    for flight in flights:
        samples, _ = fly(flight)
        body = instance_of(system.contract, samples[:56], f"flight-{flight}")
        answers.append((await client.post("/predict", json=body)).json())
        truth = {"id": answers[-1]["id"], "truth": {"apogee_m": 1000.0 + flight}}
        assert (await client.post("/feedback", json=truth)).status_code == 202
    return answers


def numbers(prediction: Any, region: Any) -> list[float]:
    return [prediction["apogee_m"], *region["apogee_m"]]


async def send_request(system: LocalSystem, copies: int) -> None:
    """So many copies have been answered or dropped."""
    shadows = system.stack.shadows
    await wait_for(lambda: shadows.answers.total() + shadows.dropped.total() >= copies, 30)


async def test_what_a_shadow_says_is_set_beside_what_was_served(
    system: LocalSystem, candidate: ArmVersion
) -> None:
    system.store.put_shadows("apogee", {"mlp": candidate})
    system.store.put_arm("apogee", "linear", candidate)
    async with system.http() as client:
        info = (await client.get("/info")).json()["arms"]
        answers = await send(client, system, 1, 2, 3)
        await send_request(system, 3)
    assert info["mlp"]["shadow"] == {"model_version": "2", "bundle": candidate.bundle}
    assert info["mlp"]["previous"] is None
    assert info["linear"]["previous"]["bundle"] == system.versions["linear"].bundle
    (_, first), *_ = system.store.predictions("apogee")
    served = system.versions["mlp"].bundle
    pairs = system.store.shadows.pairs("apogee", "mlp", candidate.bundle, served, first.created_at)
    assert [pair.served.prediction for pair in pairs] == [answer["prediction"] for answer in answers]
    assert [pair.truth for pair in pairs] == [{"apogee_m": 1000.0 + flight} for flight in (1, 2, 3)]
    # as the candidate answers when it is the one that is asked
    system.store.put_arm("apogee", "mlp", candidate)
    async with system.http() as client:
        again = await send(client, system, 1, 2, 3)
        info = (await client.get("/info")).json()["arms"]
    assert {answer["bundle"] for answer in again} == {candidate.bundle}
    assert [numbers(pair.shadow.prediction, pair.shadow.region) for pair in pairs] == [
        pytest.approx(numbers(answer["prediction"], answer["interval"])) for answer in again
    ]
    assert all(pair.served != pair.shadow for pair in pairs)
    assert info["mlp"]["previous"]["bundle"] == served


async def test_info_says_which_champion_does_not_serve(system: LocalSystem) -> None:
    held = HeldBack(model_version="2", reason="Replicas refuse it: torn", since=NOON)
    async with system.http() as client:
        assert (await client.get("/info")).json()["held_back"] == {}
        system.store.put_held_back("apogee", {"mlp": held})
        await system.stack.follower.poll()
        info = (await client.get("/info")).json()
        samples = router_samples(system.stack, RequestCounts(), {})
    assert info["held_back"] == {
        "mlp": {
            "model_version": "2",
            "reason": "Replicas refuse it: torn",
            "since": "2026-03-01T12:00:00+00:00",
        }
    }
    assert info["arms"]["mlp"]["model_version"] == "1"
    assert samples.values("raysonde_champion_held_back")[("mlp",)] == 1
    assert samples.values("raysonde_champion_held_back")[("linear",)] == 0


async def test_a_store_that_refuses_what_shadows_say_harms_nobody(
    candidate: ArmVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: ShadowStore, rows: Sequence[ShadowRow]) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(ShadowStore, "write", refuse)
    system = LocalSystem(tmp_path)
    system.store.put_policy("apogee", ALL_TO_MLP)
    system.store.put_shadows("apogee", {"mlp": candidate})
    async with system.http() as client:
        answers = await send(client, system, 1, 2)
        await send_request(system, 2)
    assert system.store.counts("apogee").joined == len(answers) == 2
    system.store.close()


async def test_a_replica_that_starts_late_loads_shadows_and_the_versions_before(
    system: LocalSystem, candidate: ArmVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.actors.base.configure_log_file", lambda *_: None)
    before, shadow = system.versions["mlp"], system.versions["linear"]
    gone = ArmVersion(model_version="9", bundle="sha256:99", source="gone")
    system.store.put_arm("apogee", "mlp", candidate)
    system.store.put_shadows("apogee", {"mlp": shadow, "linear": candidate, "random_forest": gone})
    options = ReplicaOptions(system.contract, tmp_path / "cache", tmp_path, f"sqlite:///{tmp_path}/store.db")
    loaded: list[str] = []

    def start(bundle: Bundle) -> str:
        loaded.append(bundle.content_hash)
        return bundle.content_hash

    async def answer() -> None:
        """Nobody asks."""

    VersionedReplica(options, start, answer, arm="mlp")
    assert loaded == [before.bundle, shadow.bundle, candidate.bundle]
    loaded.clear()
    VersionedReplica(options, start, answer)
    assert set(loaded) == {version.bundle for version in (*system.versions.values(), candidate)}
