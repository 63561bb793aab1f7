"""The reconciler of one workload, with real bundles, a real store, and replicas that do as they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.domain.routing import ArmVersion
from deployments.domain.served import Served
from deployments.lifecycle.reconciler import ApplicationUnavailable, Reconciler
from tests.support.models import make_parts
from tests.support.serving import ARMS, LocalSystem
from training.runtime.bundle import write_bundle
from training.runtime.errors import GoldenMismatch


class LocalReplicas:
    """One replica a deployment; `away`, `empty` and `refusing` name deployments that are so."""

    def __init__(self, system: LocalSystem) -> None:
        self._system = system
        self.arms: tuple[str, ...] = ARMS
        self.away: set[str] = set()
        self.empty: set[str] = set()
        self.refusing: set[str] = set()
        self.loads: list[tuple[str, str]] = []

    async def served(self) -> Served:
        if "Router" in self.away:
            raise ApplicationUnavailable("no router")
        return Served(self._system.contract, self.arms)

    async def load(self, deployment: str, version: ArmVersion) -> int:
        self.loads.append((deployment, version.bundle))
        if deployment in self.away:
            raise ApplicationUnavailable(f"{deployment} does not answer")
        if deployment in self.refusing:
            raise GoldenMismatch("off by 1 m")
        return 0 if deployment in self.empty else 1


class Scene:
    """A served workload whose arm `mlp` has a new champion."""

    def __init__(self, folder: Path) -> None:
        self.system = LocalSystem(folder)
        self.replicas = LocalReplicas(self.system)
        self.new = ArmVersion(
            model_version="2",
            bundle=write_bundle(make_parts("mlp", variant=7), folder / "new"),
            source=str(folder / "new"),
        )
        self.champions = {**self.system.versions, "mlp": self.new}
        self.shadows: dict[str, ArmVersion] | None = {}
        self._cache = folder / "cache"
        self.ward = self.reconciler_with(lambda: self.champions)

    def reconciler_with(self, champions: Callable[[], dict[str, ArmVersion]]) -> Reconciler:
        workload = self.system.contract.workload
        return Reconciler(
            workload, self.replicas, champions, self.system.store, self._cache, lambda: self.shadows
        )

    def arms(self) -> dict[str, ArmVersion]:
        table = self.system.store.routing(self.system.contract.workload)
        assert table is not None
        return table.arms

    def acts(self) -> list[str]:
        return [act.kind for act in self.system.store.audit_events(self.system.contract.workload)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_new_champion_is_loaded_by_scaler_and_arm_and_then_in_the_table(scene: Scene) -> None:
    await scene.ward.reconcile()
    assert scene.replicas.loads == [("FeatureScaler", scene.new.bundle), ("mlp", scene.new.bundle)]
    assert scene.arms() == scene.system.versions | {"mlp": scene.new}
    await scene.ward.reconcile()
    assert len(scene.replicas.loads) == 2


async def test_what_a_replica_refuses_is_an_act_and_not_tried_again(scene: Scene) -> None:
    scene.replicas.refusing = {"mlp"}
    await scene.ward.reconcile()
    await scene.ward.reconcile()
    assert scene.arms() == scene.system.versions
    assert scene.acts().count("version_refused") == 1
    assert len(scene.replicas.loads) == 2


async def test_a_bundle_that_is_not_what_its_hash_says_reaches_no_replica(scene: Scene) -> None:
    model = Path(scene.new.source) / "model.onnx"
    model.write_bytes(model.read_bytes()[::-1])
    await scene.ward.reconcile()
    assert scene.replicas.loads == []
    assert "version_refused" in scene.acts()


@pytest.mark.parametrize("state", ["away", "empty"])
async def test_without_a_replica_the_swap_waits(scene: Scene, state: str) -> None:
    setattr(scene.replicas, state, {"mlp"})
    await scene.ward.reconcile()
    assert scene.arms() == scene.system.versions
    setattr(scene.replicas, state, set())
    await scene.ward.reconcile()
    assert scene.arms()["mlp"] == scene.new
    assert "version_refused" not in scene.acts()


async def test_nothing_is_read_before_the_application_answers(scene: Scene) -> None:
    scene.replicas.away = {"Router"}
    read: list[str] = []

    def champions() -> dict[str, ArmVersion]:
        read.append("champions")
        return {}

    ward = scene.reconciler_with(champions)
    with pytest.raises(ApplicationUnavailable):
        await ward.reconcile()
    assert read == []
    scene.replicas.away = set()
    await ward.reconcile()
    assert read == ["champions"]


async def test_an_arm_that_came_with_a_new_deployment_is_looked_after(scene: Scene) -> None:
    scene.replicas.arms = ("linear",)
    await scene.ward.reconcile()
    assert scene.replicas.loads == []
    scene.replicas.arms = ARMS
    await scene.ward.reconcile()
    assert scene.arms()["mlp"] == scene.new


async def test_what_is_to_get_copies_is_loaded_beside_and_then_in_the_table(scene: Scene) -> None:
    scene.champions = dict(scene.system.versions)
    scene.shadows = {"mlp": scene.new}
    table = await scene.ward.reconcile()
    assert table is not None
    assert (table.arms, table.shadows) == (scene.system.versions, {"mlp": scene.new})
    assert scene.replicas.loads == [("FeatureScaler", scene.new.bundle), ("mlp", scene.new.bundle)]
    scene.shadows = {}
    table = await scene.ward.reconcile()
    assert table is not None
    assert table.shadows == {}


async def test_a_shadow_goes_on_while_nobody_knows_of_candidacies(scene: Scene) -> None:
    """As in the first round of a lifecycle controller that has been killed."""
    scene.shadows = {"mlp": scene.new}
    await scene.ward.reconcile()
    scene.shadows = None
    table = await scene.reconciler_with(lambda: scene.champions).reconcile()
    assert table is not None
    assert table.shadows == {"mlp": scene.new}
    assert scene.acts().count("shadows") == 1


async def test_a_shadow_that_replicas_refuse_gets_no_copies(scene: Scene) -> None:
    scene.champions = dict(scene.system.versions)
    scene.shadows = {"mlp": scene.new}
    scene.replicas.refusing = {"mlp"}
    table = await scene.ward.reconcile()
    assert table is not None
    assert table.shadows == {}
    assert "off by 1 m" in scene.ward.refused[scene.new.bundle]
