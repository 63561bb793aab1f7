"""From a challenger to a champion and back: no order of events, and no kill, leads astray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from toy.parts import toy_contract

from deployments.domain.errors import Conflict
from deployments.domain.promotion import Promotion
from deployments.domain.promotion_transitions import STEP_TAKES
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, OpenPromotions, VersionObservation
from deployments.lifecycle.promotion_controller import PromotionController
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.lifecycle.swaps import Swap, decide_swaps
from deployments.store import Store, Truth
from deployments.store.records import ShadowPair
from features.workload import load_workload
from tests.support.databases import empty_store
from tests.support.examples import examples
from tests.support.records import row, shadow_of
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.tasks.base import ArmAnswer
from training.runtime.tasks.factory import make_task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOKS = InterimLooksConfig(first_truths=40, looks=3, at_most_h=24)
CONFIG = PromotionConfig(shadow=LOOKS, probation=LOOKS)


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"/models/{number}")


@dataclass
class MemoryRegistry:
    """A registry in memory: what `deployments.lifecycle.registry` has, without MLflow."""

    known: dict[str, ArmVersion] = field(default_factory=dict)
    champions: dict[str, ArmVersion] = field(default_factory=dict)
    challengers: dict[str, ArmVersion] = field(default_factory=dict)
    is_away: bool = False

    def read(self) -> Aliases:
        return Aliases(self.champions, self.challengers)

    def find(self, arm: str, model_version: str) -> ArmVersion | None:
        if self.is_away:
            raise ConnectionError("the server is away")
        return self.known.get(model_version)

    def make_champion(self, arm: str, model_version: str) -> None:
        self.champions = self.champions | {arm: self.known[model_version]}

    def drop_challenger(self, arm: str, model_version: str) -> None:
        if (there := self.challengers.get(arm)) and there.model_version == model_version:
            self.challengers = {}


class Scene:
    """The workload `toy` with one arm, whose versions err as they are told to."""

    def __init__(self, store_url: str, config: PromotionConfig = CONFIG) -> None:
        self.now = NOW
        self.contract = toy_contract()
        self.store = Store(store_url, lambda: self.now)
        self.store.put_policy("toy", RoutingPolicy(weights={"linear": 1.0}))
        self.store.put_arm("toy", "linear", version(1))
        self.registry = MemoryRegistry({str(n): version(n) for n in range(1, 6)}, {"linear": version(1)})
        self.refused: dict[str, str] = {}
        self._config = config
        self._answers = 0
        self.start()

    def start(self) -> None:
        """The lifecycle controller, anew: it knows nothing but what is in the store and the registry."""
        task = make_task(self.contract, load_workload(self.contract))
        evidence = Evidence(self.contract.target, task, GateConfig(min_truths=16))
        self.controller = PromotionController(
            "toy", self._config, evidence, self.store, self.registry, lambda: self.now
        )

    @property
    def table(self) -> RoutingTable:
        table = self.store.routing("toy")
        assert table is not None
        return table

    def observation(self, promotions: OpenPromotions) -> VersionObservation:
        served, aliases = Served(self.contract, ("linear",)), self.registry.read()
        return VersionObservation(self.now, served, aliases, self.table, self.refused, promotions)

    def swap(self) -> None:
        """Bring into service what the reconciler would, as if every replica loaded it at once."""
        there = OpenPromotions(tuple(self.store.promotions.open("toy")))
        for action in decide_swaps(self.observation(there)):
            if isinstance(action, Swap):
                self.store.put_arm("toy", action.arm, action.new)
            else:
                changed: dict[str, ArmVersion | None] = dict.fromkeys(action.ended)
                self.store.put_shadows("toy", changed | {one.arm: one.new for one in action.swaps})

    def step(self) -> None:
        """Have the promotions observed, decided and acted on, and nothing else."""
        there = self.controller.observe(self.registry.read())
        self.controller.reconcile(self.observation(there))

    def round(self, times: int = 1) -> Promotion | None:
        """Rounds of the lifecycle controller; the newest promotion after them."""
        for _ in range(times):
            self.swap()
            self.step()
            self.now += timedelta(seconds=2)
        return self.newest()

    def newest(self) -> Promotion | None:
        return next(iter(self.store.promotions.latest("toy")), None)

    def challenge(self, number: int = 2) -> None:
        self.registry.challengers = {"linear": version(number)}

    def traffic(self, count: int, errors: Mapping[int, float], seed: int = 0) -> None:
        """Requests, copies and truths; a version errs by so much, on the mean."""
        table, noise = self.table, np.random.default_rng(seed + self._answers)
        served, shadow = table.arms["linear"], table.shadows.get("linear")
        rows, copies, truths = [], [], []
        for _ in range(count):
            self._answers += 1
            answer = row(self._answers)._replace(
                workload="toy", arm="linear", bundle=served.bundle, created_at=self.now
            )
            rows.append(answer._replace(**self._predicted(served, errors, noise)))
            if shadow is not None:
                copies.append(
                    replace(shadow_of(answer, shadow.bundle), **self._predicted(shadow, errors, noise))
                )
            truths.append(Truth(answer.id, {"area_m2": 50.0}))
        self.store.write_predictions(rows)
        self.store.shadows.write(copies)
        self.store.write_truths("toy", truths)

    def _predicted(
        self, who: ArmVersion, errors: Mapping[int, float], noise: np.random.Generator
    ) -> dict[str, Any]:
        value = 50.0 + errors[int(who.model_version)] + noise.normal()
        return {
            "prediction": {"area_m2": value},
            "interval": {"area_m2": [value - 20, value + 20]},
        }


@pytest.fixture
def scene(store_url: str) -> Iterator[Scene]:
    scene = Scene(store_url)
    yield scene
    scene.store.close()


def states(scene: Scene) -> list[str]:
    return [act.detail["state"] for act in scene.store.audit_events("toy") if act.kind == "promotion"]


def test_a_better_challenger_serves_and_stays(scene: Scene) -> None:
    scene.challenge()
    begun = scene.round(2)
    assert begun is not None
    assert (begun.state, begun.candidate, begun.predecessor) == ("shadowing", version(2), version(1))
    scene.swap()
    assert scene.table.shadows == {"linear": version(2)}
    assert scene.table.arms == {"linear": version(1)}

    scene.traffic(40, {1: 5.0, 2: 0.0})
    promoting = scene.round()
    assert promoting is not None
    assert promoting.state == "promoting"
    assert promoting.looks[0].numbers["gain"] == pytest.approx(4.2, abs=0.3)
    on_probation = scene.round(3)
    assert on_probation is not None
    assert on_probation.state == "probation"
    scene.swap()
    assert scene.table.arms == {"linear": version(2)}
    assert scene.table.shadows == {"linear": version(1)}
    assert scene.registry.challengers == {}, "its alias told that it had something to prove"

    for _ in range(4):
        scene.traffic(40, {1: 5.0, 2: 0.0})
        scene.round(2)
    kept = scene.newest()
    assert kept is not None
    assert (kept.state, [look.truths for look in kept.looks]) == ("kept", [40, 40, 80, 160])
    scene.swap()
    assert scene.table.shadows == {}
    assert scene.table.previous == {"linear": version(1)}
    assert states(scene) == ["shadowing", "promoting", "probation", "kept"]


def test_one_that_is_no_better_on_live_requests_never_serves(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="deployments.lifecycle.promotion_controller")
    scene.challenge()
    scene.round(2)
    for _ in range(4):
        scene.traffic(40, {1: 0.0, 2: 0.0})
        scene.round(2)
    rejected = scene.newest()
    assert rejected is not None
    assert rejected.state == "rejected"
    assert len(rejected.looks) == 3
    assert "not shown to be better" in (rejected.reason or "")
    scene.round(3)
    assert scene.registry.challengers == {}
    assert len(scene.store.promotions.latest("toy")) == 1, "it is not tried again"
    assert version(2) not in scene.table.arms.values()
    begun, ended = (one for one in caplog.records if one.name == "deployments.lifecycle.promotion_controller")
    assert (begun.levelname, begun.getMessage()) == ("INFO", "promotion begun")
    assert (ended.levelname, ended.getMessage()) == ("WARNING", f"promotion: rejected. {rejected.reason}")
    for record in (begun, ended):
        labels = {name: vars(record)[name] for name in ("workload", "arm", "promotion", "model_version")}
        assert labels == {
            "workload": "toy",
            "arm": "linear",
            "promotion": rejected.id,
            "model_version": "2",
        }


def test_a_promoted_version_that_turns_out_worse_goes_back(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    scene.round(4)
    scene.traffic(40, {1: 0.0, 2: 5.0})
    rolling = scene.round()
    assert rolling is not None
    assert rolling.state == "rolling_back"
    assert "It is worse" in (rolling.reason or "")
    scene.round(3)
    assert scene.table.arms == {"linear": version(1)}
    assert scene.registry.champions == {"linear": version(1)}
    assert states(scene)[-2:] == ["rolling_back", "rolled_back"]


def test_repeated_interim_looks_promote_no_more_equals_than_one_would(tmp_path: Path) -> None:
    """200 challengers that are as good as the champion: alpha is 0.05 over all looks together."""
    config = PromotionConfig(shadow=InterimLooksConfig(first_truths=40, looks=3))
    promoted = 0
    scene = Scene(empty_store(tmp_path), config)
    task = make_task(scene.contract, load_workload(scene.contract))
    gate = GateConfig(min_truths=16, min_gain=0.0)
    evidence = Evidence(scene.contract.target, task, gate)
    scene.challenge()
    scene.round(2)
    scene.traffic(160, {1: 0.0, 2: 0.0})
    pairs = scene.store.shadows.pairs("toy", "linear", "sha256:2", "sha256:1", NOW, 160)
    generator = np.random.default_rng(5)
    for _ in range(200):
        order = generator.permutation(160)
        flipped = generator.random(160) < 0.5
        drawn = [
            replace(pairs[i], served=pairs[i].shadow, shadow=pairs[i].served) if flip else pairs[i]
            for i, flip in zip(order, flipped, strict=True)
        ]
        promoted += any(
            evidence.evaluate_challenger(config.shadow, drawn[: config.shadow.truths_at(look)]).passed
            for look in range(3)
        )
    assert promoted <= 10 + 9  # 0.05 of 200, and three standard deviations of such a count


@pytest.mark.parametrize("state", ["shadowing", "promoting"])
def test_what_replicas_refuse_does_not_stay(scene: Scene, state: str) -> None:
    scene.challenge()
    scene.round(2)
    if state == "promoting":
        scene.traffic(40, {1: 5.0, 2: 0.0})
        scene.round()
    scene.refused = {"sha256:2": "off by 1 m"}
    scene.round(4)
    ended = scene.newest()
    assert ended is not None
    assert ended.state == ("rejected" if state == "shadowing" else "rolled_back")
    assert "off by 1 m" in (ended.reason or "")
    assert scene.table.arms == {"linear": version(1)}
    assert scene.registry.champions == {"linear": version(1)}


def test_time_ends_what_truths_do_not(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(39, {1: 5.0, 2: 0.0})
    scene.now += timedelta(hours=25)
    rejected = scene.round()
    assert rejected is not None
    assert (rejected.state, rejected.reason) == (
        "rejected",
        "It was not shown to be better: 39 truths in 24 h.",
    )


def on_probation(scene: Scene) -> Promotion:
    """The second version serves, and nothing is known of it yet."""
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    there = scene.round(4)
    assert there is not None
    assert there.state == "probation"
    return there


def test_one_whose_probation_is_over_stays(scene: Scene) -> None:
    on_probation(scene)
    scene.traffic(7, {1: 0.0, 2: 5.0})
    scene.now += timedelta(hours=23)
    still = scene.round()
    assert still is not None
    assert still.state == "probation"
    scene.now += timedelta(hours=1)
    kept = scene.round()
    assert kept is not None
    assert (kept.state, kept.reason) == ("kept", "It was not shown to be worse: 7 truths in 24 h.")
    scene.swap()
    assert scene.table.arms == {"linear": version(2)}


def test_a_promotion_that_does_not_arrive_is_taken_back(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    scene.round()
    assert scene.registry.champions == {"linear": version(1)}
    for minutes in (5, 5):  # the registry has it, and no replica brings it into service
        scene.step()
        scene.now += timedelta(minutes=minutes)
    waiting = scene.newest()
    assert waiting is not None
    assert waiting.state == "promoting"
    scene.step()
    taken_back = scene.newest()
    assert taken_back is not None
    assert (taken_back.state, taken_back.reason) == ("rolling_back", "It did not come into service.")
    scene.round(3)
    assert scene.registry.champions == {"linear": version(1)}
    assert states(scene)[-2:] == ["rolling_back", "rolled_back"]


def test_each_phase_has_its_own_interim_looks(store_url: str) -> None:
    probation = InterimLooksConfig(first_truths=80, looks=2, at_most_h=48)
    scene = Scene(store_url, PromotionConfig(shadow=LOOKS, probation=probation))
    on_probation(scene)
    for _ in range(4):
        scene.traffic(40, {1: 5.0, 2: 0.0})
        scene.round()
    kept = scene.newest()
    assert kept is not None
    assert [(look.phase, look.truths) for look in kept.looks] == [
        ("shadowing", 40),
        ("probation", 80),
        ("probation", 160),
    ]
    assert kept.state == "kept"
    scene.store.close()


def test_a_first_version_that_replicas_refuse_is_rejected(scene: Scene) -> None:
    scene.store.put_arms("toy", {"linear": None})
    scene.registry.champions = {}
    scene.challenge()
    scene.step()
    scene.refused = {"sha256:2": "off by 1 m"}
    scene.step()
    rejected = scene.newest()
    assert rejected is not None
    assert (rejected.state, rejected.reason) == ("rejected", "Replicas refuse it: off by 1 m")


def test_who_makes_the_version_before_champion_again_ends_the_probation(scene: Scene) -> None:
    on_probation(scene)
    scene.registry.make_champion("linear", "1")
    ended = scene.round()
    assert ended is not None
    assert (ended.state, ended.reason) == ("superseded", "Somebody else made version 1 the champion.")


def test_a_promotion_is_taken_back_by_hand_before_it_serves(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    promoting = scene.round()
    assert promoting is not None
    assert promoting.state == "promoting"
    rolling = scene.store.promotions.roll_back("toy", "linear", scene.table, "api", "it smells")
    assert (rolling.id, rolling.state) == (promoting.id, "rolling_back")
    scene.round(3)
    assert scene.table.arms == {"linear": version(1)}
    assert len(scene.store.promotions.latest("toy")) == 1


@pytest.mark.parametrize(("shadow_at", "served_at"), [(0.95, 0.9), (0.9, 0.95)])
def test_regions_are_asked_to_hold_as_much_as_the_wider_ones_promise(
    scene: Scene, shadow_at: float, served_at: float
) -> None:
    """Both hold 92 of 100: too few where one of them promises 95 in a thousand rows."""
    task = make_task(scene.contract, load_workload(scene.contract))
    evidence = Evidence(scene.contract.target, task, GateConfig(min_truths=16, coverage_slack=0.0))

    def answer_of(value: float, coverage: float, holds: bool) -> ArmAnswer:
        half = 20.0 if holds else 1e-3
        return ArmAnswer({"area_m2": value}, {"area_m2": [value - half, value + half]}, coverage)

    noise = np.random.default_rng(0).normal(size=1000)
    pairs = [
        ShadowPair(
            NOW,
            served=answer_of(55.0 + one, served_at, True),
            shadow=answer_of(50.0 + one, shadow_at, number % 25 not in (3, 14)),
            truth={"area_m2": 50.0},
        )
        for number, one in enumerate(noise.tolist())
    ]
    verdict = evidence.evaluate_challenger(LOOKS, pairs)
    assert verdict.numbers["coverage"] == 0.92
    assert verdict.numbers["coverage_asked"] == 0.95
    assert not verdict.passed


def test_a_person_decides_when_nothing_is_automatic(store_url: str) -> None:
    scene = Scene(store_url, CONFIG.model_copy(update={"automatic": False}))
    scene.challenge()
    scene.round(2)
    scene.traffic(200, {1: 5.0, 2: 0.0})
    waiting = scene.round(5)
    assert waiting is not None
    assert (waiting.state, len(waiting.looks)) == ("shadowing", 3)
    scene.store.promotions.promote("toy", "linear", "2", "api", "looks good")
    scene.round(3)
    assert scene.table.arms == {"linear": version(2)}
    scene.store.close()


def test_promote_and_roll_back_by_hand(scene: Scene) -> None:
    rows = scene.store.promotions
    rows.promote("toy", "linear", "3", "api", "I know it")
    kept = scene.round(4)
    assert kept is not None
    assert (kept.state, kept.reason) == ("kept", "api wanted it.")
    assert scene.table.arms == {"linear": version(3)}
    scene.challenge()
    scene.round(2)
    with pytest.raises(Conflict, match="version 2 is shadowing"):
        rows.roll_back("toy", "linear", scene.table, "api", "")
    scene.refused = {"sha256:2": "off by 1 m"}
    scene.round(2)
    rows.roll_back("toy", "linear", scene.table, "api", "I was wrong")
    scene.round(4)
    assert scene.table.arms == {"linear": version(1)}
    rows.promote("toy", "linear", "9", "api", "")
    missing = scene.round()
    assert missing is not None
    assert (missing.state, missing.reason) == ("rejected", "The registry has no version 9 of linear.")


def test_a_promotion_is_taken_back_by_hand_on_its_probation(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    scene.round(4)
    rolling = scene.store.promotions.roll_back("toy", "linear", scene.table, "api", "it smells")
    assert rolling.state == "rolling_back"
    scene.round(3)
    assert scene.table.arms == {"linear": version(1)}


def test_without_a_version_before_there_is_nothing_to_go_back_to(scene: Scene) -> None:
    with pytest.raises(Conflict, match="linear has had no version before"):
        scene.store.promotions.roll_back("toy", "linear", scene.table, "api", "")


def test_the_first_version_of_an_arm_has_nothing_to_prove(scene: Scene) -> None:
    scene.store.put_arms("toy", {"linear": None})
    scene.registry.champions = {}
    scene.challenge()
    scene.step()
    scene.step()
    kept = scene.round(3)
    assert kept is not None
    assert kept.state == "kept"
    assert scene.table.arms == {"linear": version(2)}


def test_somebody_else_who_moves_the_champion_ends_it(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.registry.champions = {"linear": version(4)}
    ended = scene.round()
    assert ended is not None
    assert (ended.state, ended.reason) == ("superseded", "Somebody else made version 4 the champion.")
    scene.round()
    scene.swap()
    assert (scene.table.arms, scene.table.shadows) == ({"linear": version(4)}, {})


def test_a_newer_challenger_takes_the_place_of_one_in_the_shadow(scene: Scene) -> None:
    scene.challenge(2)
    scene.round(2)
    scene.challenge(3)
    scene.round(2)
    newest, oldest = scene.store.promotions.latest("toy")
    assert (oldest.state, newest.state, newest.model_version) == ("superseded", "shadowing", "3")


def test_a_roll_back_to_a_version_that_is_refused_leaves_what_serves(scene: Scene) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    scene.round(4)
    assert scene.table.arms == {"linear": version(2)}
    scene.refused = {"sha256:1": "off by 1 m"}
    scene.store.promotions.roll_back("toy", "linear", scene.table, "api", "it smells")
    ended = scene.round(3)
    assert ended is not None
    assert (ended.state, ended.reason) == ("aborted", "Replicas refuse the version before: off by 1 m")
    assert scene.table.arms == scene.registry.champions == {"linear": version(2)}


def test_a_refused_champion_that_is_asked_for_again_goes_back_to_what_serves(scene: Scene) -> None:
    """It went back to itself without end, and every other wish was a 409."""
    scene.refused = {"sha256:4": "off by 1 m"}
    scene.registry.champions = {"linear": version(4)}
    scene.round()
    scene.store.promotions.promote("toy", "linear", "4", "api", "please")
    ended = scene.round(4)
    assert ended is not None
    assert (ended.state, ended.reason) == (
        "aborted",
        "Replicas refuse it: off by 1 m It is the version before, too.",
    )
    assert scene.table.arms == scene.registry.champions == {"linear": version(1)}
    scene.store.promotions.promote("toy", "linear", "3", "api", "")
    kept = scene.round(4)
    assert kept is not None
    assert (kept.state, kept.model_version) == ("kept", "3")


@pytest.mark.parametrize("steps", range(5))
def test_one_that_is_aborted_leaves_what_serves(scene: Scene, steps: int) -> None:
    scene.challenge()
    scene.round(2)
    scene.traffic(40, {1: 5.0, 2: 0.0})
    scene.round(steps)
    (there,) = scene.store.promotions.open("toy")
    serving = scene.table.arms
    scene.store.promotions.abort("toy", there.id, "api", "not today")
    ended = scene.round(3)
    assert ended is not None
    assert (ended.id, ended.state, ended.note) == (there.id, "aborted", "not today")
    assert scene.table.arms == scene.registry.champions == serving
    assert scene.registry.challengers == {}
    with pytest.raises(Conflict, match="has ended, it is aborted"):
        scene.store.promotions.abort("toy", there.id, "api", "")


def test_one_that_cannot_be_looked_up_ends_and_holds_up_no_other(scene: Scene) -> None:
    scene.registry.is_away = True
    scene.store.promotions.promote("toy", "linear", "3", "api", "")
    waiting = scene.round(2)
    assert waiting is not None
    assert waiting.state == "asked"
    scene.now += STEP_TAKES
    ended = scene.round()
    assert ended is not None
    assert (ended.state, ended.reason) == ("rejected", "The registry could not be asked for it.")


class AnyOrder(RuleBasedStateMachine):
    """Challengers, truths, kills, refusals, time and people, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.scene = Scene(empty_store(Path(self._folder.name)))
        self._errors = {number: abs(number - 3) * 2.0 for number in range(1, 6)}

    @rule(number=st.integers(1, 5))
    def challenge(self, number: int) -> None:
        self.scene.challenge(number)

    @rule(count=st.sampled_from([5, 45, 160]))
    def traffic(self, count: int) -> None:
        self.scene.traffic(count, self._errors)

    @rule()
    def promotions_are_reconciled(self) -> None:
        self.scene.step()
        self.scene.now += timedelta(seconds=2)

    @rule()
    def versions_are_swapped(self) -> None:
        self.scene.swap()

    @rule()
    def the_controller_is_killed(self) -> None:
        self.scene.start()

    @rule(number=st.integers(1, 5))
    def somebody_moves_the_champion(self, number: int) -> None:
        self.scene.registry.make_champion("linear", str(number))

    @rule(number=st.integers(1, 6))
    def somebody_promotes(self, number: int) -> None:
        try:
            self.scene.store.promotions.promote("toy", "linear", str(number), "api", "")
        except Conflict:
            return

    @rule()
    def somebody_aborts(self) -> None:
        promotions = self.scene.store.promotions
        for there in promotions.open("toy"):
            promotions.abort("toy", there.id, "api", "")

    @rule(numbers=st.sets(st.integers(1, 5), max_size=3))
    def replicas_refuse(self, numbers: set[int]) -> None:
        self.scene.refused = {f"sha256:{number}": "off by 1 m" for number in numbers}

    @rule(hours=st.sampled_from([0.1, 0.2, 25]))
    def time_goes_by(self, hours: float) -> None:
        self.scene.now += timedelta(hours=hours)

    @rule(is_away=st.booleans())
    def the_registry_goes_or_comes(self, is_away: bool) -> None:
        self.scene.registry.is_away = is_away

    @invariant()
    def one_at_a_time(self) -> None:
        assert len(self.scene.store.promotions.open("toy")) <= 1

    def teardown(self) -> None:
        """Left alone with truths, all comes to an end, and the arm serves what the registry says."""
        scene = self.scene
        self._all_ends_in_time()
        scene.refused, scene.registry.is_away = {}, False
        for _ in range(12):
            scene.traffic(160, self._errors)
            scene.round(4)
            if not scene.store.promotions.open("toy") and not scene.registry.challengers:
                break
        scene.round(2)
        assert scene.store.promotions.open("toy") == []
        assert scene.table.arms == scene.registry.champions
        assert scene.table.shadows == {}
        scene.store.close()
        self._folder.cleanup()

    def _all_ends_in_time(self) -> None:
        """Whatever is refused or away, and without a truth: what is open ends, and another may begin."""
        scene = self.scene
        scene.registry.challengers = {}
        limit = timedelta(hours=LOOKS.at_most_h)
        for _ in range(6):
            scene.round(2)
            scene.now += limit
        assert scene.store.promotions.open("toy") == []
        scene.store.promotions.promote("toy", "linear", "1", "api", "")


AnyOrder.TestCase.settings = settings(max_examples=examples(6), stateful_step_count=15, deadline=None)
TestAnyOrder = AnyOrder.TestCase
