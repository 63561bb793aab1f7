"""One promotion that cannot go on holds up no other of the workload."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine
from toy.parts import toy_contract

from deployments.domain import promotion_transitions as transitions
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, VersionObservation
from deployments.lifecycle.promotion_controller import PromotionController
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.store import Store
from deployments.store.shadow_store import ShadowStore
from deployments.store.sql.engine import StoreUnavailable
from features.workload import load_workload
from training.runtime.promotion_config import PromotionConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.tasks.factory import make_task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARMS = ("linear", "mlp")


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"/models/{number}")


class Answers(ShadowStore):
    """No pairs of any arm, and one of them whose answers raise `error`."""

    def __init__(self, broken: str, error: Exception) -> None:
        super().__init__(create_engine("sqlite://"))
        self._broken = broken
        self._error = error

    def count(self, workload: str, arm: str, shadow: str, served: str, since: datetime, limit: int) -> int:
        if arm == self._broken:
            raise self._error
        return 0


class Registry:
    """Version 1 of each arm is the champion, and nobody moves it."""

    def read(self) -> Aliases:
        return Aliases(dict.fromkeys(ARMS, version(1)), {})

    def find(self, arm: str, model_version: str) -> ArmVersion | None:
        raise AssertionError("nobody asks for a version")

    def make_champion(self, arm: str, model_version: str) -> None:
        raise AssertionError("no version is promoted")

    def drop_challenger(self, arm: str, model_version: str) -> None:
        raise AssertionError("there is no challenger")


class Scene:
    """Two arms, each with a version in the shadow, whose time is up."""

    def __init__(self, store_url: str) -> None:
        self.now = NOW
        self.store = Store(store_url, lambda: self.now)
        self.store.put_policy("toy", RoutingPolicy(weights=dict.fromkeys(ARMS, 1.0)))
        self.store.put_arms("toy", dict.fromkeys(ARMS, version(1)))
        self.rows = {arm: self.store.promotions.begin("toy", arm, version(2), version(1)) for arm in ARMS}
        self.now += timedelta(hours=25)

    def controller(self) -> PromotionController:
        contract = toy_contract()
        evidence = Evidence(contract.target, make_task(contract, load_workload(contract)), GateConfig())
        config, clock = PromotionConfig(), lambda: self.now
        return PromotionController("toy", config, evidence, self.store, Registry(), clock)

    def observe(self, controller: PromotionController) -> VersionObservation:
        served, aliases = Served(toy_contract(), ARMS), Registry().read()
        table, there = self.store.routing("toy"), controller.observe(aliases)
        return VersionObservation(self.now, served, aliases, table, {}, there)

    def state(self, arm: str) -> Promotion:
        return self.store.promotions.get(self.rows[arm].id)


@pytest.fixture
def scene(store_url: str) -> Iterator[Scene]:
    scene = Scene(store_url)
    yield scene
    scene.store.close()


@pytest.mark.parametrize(("broken", "other"), [("linear", "mlp"), ("mlp", "linear")])
def test_answers_that_cannot_be_evaluated_hold_up_their_own_promotion_alone(
    scene: Scene, broken: str, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.store.shadows = Answers(broken, ValueError("odd answers"))
    controller = scene.controller()
    controller.reconcile(scene.observe(controller))
    assert scene.state(broken) == scene.rows[broken]
    assert scene.state(other).reason == "It was not shown to be better: 0 truths in 24 h."
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (record.getMessage(), vars(record)["arm"]) == ("promotion not evaluated", broken)
    # it ends nevertheless
    scene.now += timedelta(minutes=1)
    controller.reconcile(scene.observe(controller))
    assert (scene.state(broken).state, scene.state(broken).reason) == (
        "rejected",
        "It was not shown to be better: its answers could not be compared in 24 h.",
    )


def test_a_store_that_is_away_is_no_fault_of_the_answers(scene: Scene) -> None:
    scene.store.shadows = Answers("linear", StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        scene.observe(scene.controller())


@pytest.mark.parametrize(("moved", "other"), [("linear", "mlp"), ("mlp", "linear")])
def test_a_row_that_somebody_has_moved_since_is_theirs(scene: Scene, moved: str, other: str) -> None:
    scene.store.shadows = Answers("", ValueError())
    controller = scene.controller()
    seen = scene.observe(controller)
    scene.store.promotions.change(scene.rows[moved], lambda row: transitions.promote(row, "api", scene.now))
    controller.reconcile(seen)
    assert (scene.state(moved).state, scene.state(moved).reason) == ("promoting", "api wants it.")
    assert scene.state(other).state == "rejected"
