"""The reconciler of one workload, with real bundles, a real store, and replicas that do as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.domain import promotion_transitions as transitions
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion, HeldBack
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, Unreadable
from deployments.lifecycle.promotion_controller import PromotionController
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.lifecycle.reconciler import Reconciler
from deployments.lifecycle.refusals import FIRST_RETRY_S
from deployments.lifecycle.version_loader import ApplicationUnavailable
from features.workload import load_workload
from tests.support.clocks import SecondsClock
from tests.support.models import make_parts
from tests.support.serving import ARMS, LocalSystem
from training.runtime.bundle import write_bundle
from training.runtime.errors import GoldenMismatch
from training.runtime.promotion_config import PromotionConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.tasks.factory import make_task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Logged = Callable[[], list[tuple[str, str, str | None]]]


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


@dataclass
class MemoryRegistry:
    """Aliases in memory, and how often they were read."""

    champions: dict[str, ArmVersion]
    challengers: dict[str, ArmVersion] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)
    reads: int = 0

    def read(self) -> Aliases:
        self.reads += 1
        return Aliases(dict(self.champions), dict(self.challengers), dict(self.unreadable))

    def find(self, arm: str, model_version: str) -> ArmVersion | None:
        return None

    def make_champion(self, arm: str, model_version: str) -> None:
        self.champions[arm] = self.challengers[arm]

    def drop_challenger(self, arm: str, model_version: str) -> None:
        del self.challengers[arm]


class Scene:
    """A served workload whose arm `mlp` has a new champion."""

    def __init__(self, folder: Path) -> None:
        self.system = LocalSystem(folder)
        self.workload = self.system.contract.workload
        self.replicas = LocalReplicas(self.system)
        self.new = ArmVersion(
            model_version="2",
            bundle=write_bundle(make_parts("mlp", variant=7), folder / "new"),
            source=str(folder / "new"),
        )
        self.registry = MemoryRegistry({**self.system.versions, "mlp": self.new})
        self.promotions_fail = False
        self.seconds = SecondsClock()
        self._cache = folder / "cache"
        self.start()

    def start(self) -> None:
        """The reconciler, anew: it knows nothing but what is in the store and the registry."""
        self.reconciler = Reconciler(
            self.workload,
            self.replicas,
            self.registry,
            self.system.store,
            self._cache,
            self._make_promotions,
            lambda: NOW,
            monotonic=self.seconds,
        )

    def _make_promotions(self) -> PromotionController:
        if self.promotions_fail:
            raise ValueError("promotion.shadow.looks: got 0, expected at least 1")
        contract = self.system.contract
        task = make_task(contract, load_workload(contract))
        evidence = Evidence(contract.target, task, GateConfig())
        config, store = PromotionConfig(), self.system.store
        return PromotionController(self.workload, config, evidence, store, self.registry, lambda: NOW)

    def prove_the_new_version(self) -> Promotion:
        """It is no champion, but in the shadow of the one that is."""
        champion = self.system.versions["mlp"]
        self.registry.champions["mlp"] = champion
        return self.system.store.promotions.begin(self.workload, "mlp", self.new, champion)

    def arms(self) -> dict[str, ArmVersion]:
        table = self.system.store.routing(self.workload)
        assert table is not None
        return table.arms

    def held_back(self) -> dict[str, HeldBack]:
        table = self.system.store.routing(self.workload)
        assert table is not None
        return table.held_back

    def acts(self) -> list[str]:
        return [act.kind for act in self.system.store.audit_events(self.workload)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Level, message and version of what the reconciler has logged."""
    caplog.set_level("INFO", logger="deployments.lifecycle.reconciler")

    def read() -> list[tuple[str, str, str | None]]:
        return [
            (record.levelname, record.getMessage(), getattr(record, "model_version", None))
            for record in caplog.records
            if record.name == "deployments.lifecycle.reconciler"
        ]

    return read


async def test_a_new_champion_is_loaded_by_scaler_and_arm_and_then_in_the_table(
    scene: Scene, logged: Logged
) -> None:
    await scene.reconciler.reconcile()
    assert scene.replicas.loads == [("FeatureScaler", scene.new.bundle), ("mlp", scene.new.bundle)]
    assert scene.arms() == scene.system.versions | {"mlp": scene.new}
    await scene.reconciler.reconcile()
    assert len(scene.replicas.loads) == 2
    assert logged() == [("INFO", "arm swapped", "2")]


async def test_what_a_replica_refuses_is_an_act_and_rests(scene: Scene, logged: Logged) -> None:
    scene.replicas.refusing = {"mlp"}
    await scene.reconciler.reconcile()
    await scene.reconciler.reconcile()
    assert scene.arms() == scene.system.versions
    (act,) = (one for one in scene.system.store.audit_events(scene.workload) if one.kind == "version_refused")
    assert act.detail == {"arm": "mlp", "reason": "off by 1 m", **scene.new.model_dump()}
    assert len(scene.replicas.loads) == 2
    assert logged() == [("WARNING", "version refused: off by 1 m", "2")]


async def test_a_bundle_that_is_not_what_its_hash_says_reaches_no_replica(scene: Scene) -> None:
    model = Path(scene.new.source) / "model.onnx"
    model.write_bytes(model.read_bytes()[::-1])
    await scene.reconciler.reconcile()
    assert scene.replicas.loads == []
    assert "version_refused" in scene.acts()


async def test_what_was_refused_is_tried_again_and_may_serve(scene: Scene, logged: Logged) -> None:
    scene.replicas.refusing = {"mlp"}
    await scene.reconciler.reconcile()
    scene.seconds.now_s += FIRST_RETRY_S
    await scene.reconciler.reconcile()
    assert len(scene.replicas.loads) == 4
    assert scene.acts().count("version_refused") == 1
    assert logged() == [("WARNING", "version refused: off by 1 m", "2")]
    scene.replicas.refusing = set()
    scene.seconds.now_s += 2 * FIRST_RETRY_S
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new
    assert scene.held_back() == {}


async def test_a_torn_bundle_that_is_mended_serves_at_once(scene: Scene) -> None:
    model = Path(scene.new.source) / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:-100])
    await scene.reconciler.reconcile()
    assert "version_refused" in scene.acts()
    model.write_bytes(whole)
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new
    assert scene.held_back() == {}


async def test_the_table_says_which_champion_does_not_serve_and_why(scene: Scene) -> None:
    scene.replicas.refusing = {"mlp"}
    for _ in range(3):
        await scene.reconciler.reconcile()
    refused = HeldBack(model_version="2", reason="Replicas refuse it: off by 1 m", since=NOW)
    assert scene.held_back() == {"mlp": refused}
    assert scene.acts().count("held_back") == 1
    # and while it is tried again
    scene.seconds.now_s += FIRST_RETRY_S
    await scene.reconciler.reconcile()
    assert scene.acts().count("held_back") == 1
    scene.registry.champions["mlp"] = scene.system.versions["mlp"]
    await scene.reconciler.reconcile()
    assert scene.held_back() == {}


async def test_a_champion_that_cannot_be_read_holds_up_no_other_arm(scene: Scene) -> None:
    linear = scene.new.model_copy(update={"model_version": "8"})
    scene.registry.unreadable = {"mlp": Unreadable("7", "the alias names a version that is not there")}
    scene.registry.champions = {"linear": linear}
    await scene.reconciler.reconcile()
    assert scene.arms() == scene.system.versions | {"linear": linear}
    (held,) = scene.held_back().items()
    assert held[0] == "mlp"
    assert (held[1].model_version, held[1].reason) == (
        "7",
        "It cannot be read: the alias names a version that is not there",
    )


@pytest.mark.parametrize("state", ["away", "empty"])
async def test_without_a_replica_the_swap_waits(scene: Scene, state: str, logged: Logged) -> None:
    setattr(scene.replicas, state, {"mlp"})
    await scene.reconciler.reconcile()
    assert scene.arms() == scene.system.versions
    reason = "mlp does not answer"
    assert logged() == ([("WARNING", f"swap put off: {reason}", "2")] if state == "away" else [])
    setattr(scene.replicas, state, set())
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new
    assert "version_refused" not in scene.acts()


async def test_nothing_is_read_before_the_application_answers(scene: Scene) -> None:
    scene.registry.champions = {}
    scene.replicas.away = {"Router"}
    with pytest.raises(ApplicationUnavailable):
        await scene.reconciler.reconcile()
    assert scene.registry.reads == 0
    scene.replicas.away = set()
    await scene.reconciler.reconcile()
    assert scene.registry.reads == 1


async def test_an_arm_that_came_with_a_new_deployment_is_reconciled(scene: Scene) -> None:
    scene.replicas.arms = ("linear",)
    await scene.reconciler.reconcile()
    assert scene.replicas.loads == []
    scene.replicas.arms = ARMS
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new


async def test_what_is_to_get_copies_is_loaded_beside_and_then_in_the_table(scene: Scene) -> None:
    promotion = scene.prove_the_new_version()
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert (table.arms, table.shadows) == (scene.system.versions, {"mlp": scene.new})
    assert scene.replicas.loads == [("FeatureScaler", scene.new.bundle), ("mlp", scene.new.bundle)]
    scene.system.store.promotions.change(promotion, lambda row: transitions.superseded(row, "newer", NOW))
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {}


async def test_a_shadow_goes_on_while_nobody_knows_of_promotions(scene: Scene) -> None:
    """As when the workload's file has been broken since, and the lifecycle controller was killed."""
    promotion = scene.prove_the_new_version()
    await scene.reconciler.reconcile()
    scene.system.store.promotions.change(promotion, lambda row: transitions.superseded(row, "newer", NOW))
    scene.promotions_fail = True
    scene.start()
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {"mlp": scene.new}
    assert scene.acts().count("shadows") == 1
    scene.promotions_fail = False
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {}


async def test_champions_come_into_service_while_promotions_cannot_be_read(
    scene: Scene, logged: Logged
) -> None:
    scene.promotions_fail = True
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new
    # it looks again after a swap, and tells the same twice in one line
    first, swapped, again = logged()
    assert first == ("ERROR", "promotions not observed", None)
    assert swapped == ("INFO", "arm swapped", "2")
    assert again[1].startswith("promotions not observed, 2 times: ValueError(")


async def test_a_shadow_goes_on_when_the_controller_is_killed(scene: Scene) -> None:
    scene.prove_the_new_version()
    await scene.reconciler.reconcile()
    scene.start()
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {"mlp": scene.new}
    assert scene.acts().count("shadows") == 1


async def test_a_shadow_that_replicas_refuse_gets_no_copies_and_ends_its_promotion(scene: Scene) -> None:
    promotion = scene.prove_the_new_version()
    scene.replicas.refusing = {"mlp"}
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {}
    ended = scene.system.store.promotions.get(promotion.id)
    assert (ended.state, ended.reason) == ("rejected", "Replicas refuse it: off by 1 m")
    assert scene.acts().count("version_refused") == 1


async def test_a_swap_and_the_step_that_it_allows_are_one_round(scene: Scene) -> None:
    """A version that replicas have just loaded serves, and is on probation at once."""
    promotion = scene.prove_the_new_version()
    rows = scene.system.store.promotions
    rows.change(promotion, lambda row: transitions.promote(row, "api", NOW))
    scene.registry.champions["mlp"] = scene.new
    await scene.reconciler.reconcile()
    assert scene.arms()["mlp"] == scene.new
    assert rows.get(promotion.id).state == "probation"
    table = await scene.reconciler.reconcile()
    assert table is not None
    assert table.shadows == {"mlp": scene.system.versions["mlp"]}


async def test_what_two_swaps_of_a_round_would_load_is_refused_once(scene: Scene) -> None:
    """The champion somebody made by hand is the version in the shadow too."""
    scene.prove_the_new_version()
    scene.registry.champions["mlp"] = scene.new
    scene.replicas.refusing = {"mlp"}
    await scene.reconciler.reconcile()
    assert scene.acts().count("version_refused") == 1
    assert len(scene.replicas.loads) == 2
