"""Promotions are decided from one observation: a table of what is seen, and what is to be done, in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from toy.parts import toy_contract

from deployments.domain import promotion_transitions as transitions
from deployments.domain.promotion import Promotion, State
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, Comparison, OpenPromotions, VersionObservation
from deployments.lifecycle.promotion_decisions import (
    BeginPromotion,
    ChangePromotion,
    DropChallenger,
    MakeChampion,
    PromotionAction,
    decide_promotions,
)
from training.retraining.gate import Check, Verdict
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOKS = InterimLooksConfig(first_truths=40, looks=2, at_most_h=24)
CONFIG = PromotionConfig(shadow=LOOKS, probation=LOOKS)
POLICY = RoutingPolicy(weights={"linear": 1.0, "mlp": 1.0})
BETTER = Verdict((Check("gain", True, "It is better."),))
WORSE = Verdict((Check("gain", False, "It is worse."),))


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"/models/{number}")


def promotion(state: State, by: str = "gate", arm: str = "linear", age_h: float = 0.0) -> Promotion:
    """Of version 2, where version 1 was the champion."""
    begun = transitions.begin("1", "toy", arm, version(2), version(1), NOW - timedelta(hours=age_h))
    return begun.model_copy(update={"state": state, "by": by})


def observation(
    *there: Promotion,
    champion: int | None = 1,
    challenger: int | None = None,
    serving: int | None = 1,
    refused: tuple[int, ...] = (),
    comparison: Comparison | None = None,
    evaluated: tuple[int, ...] = (),
) -> VersionObservation:
    """What is seen of the arm `linear`; versions by their number."""

    def on_arm(number: int | None) -> dict[str, ArmVersion]:
        return {} if number is None else {"linear": version(number)}

    return VersionObservation(
        now=NOW,
        served=Served(toy_contract(), ("linear", "mlp")),
        aliases=Aliases(on_arm(champion), on_arm(challenger)),
        table=RoutingTable(revision=1, policy=POLICY, arms=on_arm(serving)),
        refused={f"sha256:{number}": "off by 1 m" for number in refused},
        promotions=OpenPromotions(
            promotions=there,
            evaluated={("linear", str(number)) for number in evaluated},
            comparisons={} if comparison is None else {"1": comparison},
        ),
    )


def decide(seen: VersionObservation) -> tuple[PromotionAction, ...]:
    return decide_promotions(CONFIG, seen)


BEGIN = BeginPromotion("linear", version(2), version(1), "It passed the gate.")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (observation(challenger=2), [BEGIN]),
        (observation(), []),
        (observation(challenger=1), [DropChallenger("linear", "1", "It is the champion.")]),
        (
            observation(challenger=2, evaluated=(2,)),
            [DropChallenger("linear", "2", "Its promotion has ended.")],
        ),
        # the champion is on its way into service
        (observation(challenger=2, serving=3), []),
        (observation(challenger=2, serving=None), []),
        (
            observation(challenger=2, champion=None, serving=None),
            [BeginPromotion("linear", version(2), None, "It passed the gate.")],
        ),
        # one of the arm is under way, and its challenger is the one that has the alias
        (observation(promotion("shadowing"), challenger=2), []),
        (
            observation(promotion("shadowing"), challenger=2, evaluated=(2,)),
            [DropChallenger("linear", "2", "Its promotion has ended.")],
        ),
    ],
)
def test_which_challengers_begin(seen: VersionObservation, expected: list[PromotionAction]) -> None:
    assert decide(seen) == tuple(expected)


def test_one_under_way_on_another_arm_holds_up_nobody() -> None:
    other = promotion("shadowing", arm="mlp")
    seen = observation(other, challenger=2)
    aliases = Aliases({**seen.aliases.champions, "mlp": version(1)}, seen.aliases.challengers)
    assert decide(replace(seen, aliases=aliases)) == (BEGIN,)


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        # somebody else has moved an alias
        (
            observation(promotion("shadowing"), champion=3),
            "superseded",
            "Somebody else made version 3 the champion.",
        ),
        (
            observation(promotion("shadowing"), champion=None),
            "superseded",
            "Somebody else made no version the champion.",
        ),
        (observation(promotion("shadowing"), champion=2), "promoting", "the registry wants it."),
        (
            observation(promotion("shadowing"), challenger=3),
            "superseded",
            "There is a newer challenger, version 3.",
        ),
        (
            observation(promotion("promoting"), champion=3),
            "superseded",
            "Somebody else made version 3 the champion.",
        ),
        (
            observation(promotion("probation"), champion=1),
            "superseded",
            "Somebody else made version 1 the champion.",
        ),
        (
            observation(promotion("rolling_back"), champion=3),
            "superseded",
            "Somebody else made version 3 the champion.",
        ),
        # a newer challenger comes too late for one that is promoted
        (
            observation(promotion("promoting"), champion=2, serving=2, challenger=3),
            "probation",
            "It passed the gate.",
        ),
        # replicas refuse it
        (
            observation(promotion("shadowing"), refused=(2,)),
            "rejected",
            "Replicas refuse it: off by 1 m",
        ),
        (
            observation(promotion("promoting"), champion=2, refused=(2,)),
            "rolling_back",
            "Replicas refuse it: off by 1 m",
        ),
        (
            observation(promotion("rolling_back"), champion=2, serving=2, refused=(1,)),
            "aborting",
            "Replicas refuse the version before: off by 1 m",
        ),
        (observation(promotion("aborting"), champion=2, serving=2), "aborted", "It passed the gate."),
        (observation(promotion("aborting"), champion=2, serving=None), "aborted", "It passed the gate."),
        # it serves, or the version before does again
        (observation(promotion("promoting"), champion=2, serving=2), "probation", "It passed the gate."),
        (observation(promotion("promoting", by="api"), champion=2, serving=2), "kept", "api wanted it."),
        (observation(promotion("rolling_back"), champion=1, serving=1), "rolled_back", "It passed the gate."),
        (
            observation(promotion("promoting", age_h=0.2), champion=2, serving=1),
            "rolling_back",
            "It did not come into service.",
        ),
        # interim looks
        (
            observation(promotion("shadowing"), comparison=Comparison(40, BETTER)),
            "promoting",
            "It is better.",
        ),
        (
            observation(promotion("probation"), champion=2, serving=2, comparison=Comparison(40, WORSE)),
            "rolling_back",
            "It is worse.",
        ),
        (
            observation(promotion("shadowing", age_h=25), comparison=Comparison(39)),
            "rejected",
            "It was not shown to be better: 39 truths in 24 h.",
        ),
        (
            observation(promotion("probation", age_h=25), champion=2, serving=2, comparison=Comparison(0)),
            "kept",
            "It was not shown to be worse: 0 truths in 24 h.",
        ),
    ],
)
def test_the_next_step_of_a_promotion(seen: VersionObservation, state: State, reason: str) -> None:
    assert seen.promotions is not None
    (before,) = seen.promotions.promotions
    (action,) = (one for one in decide(seen) if isinstance(one, ChangePromotion))
    assert action.seen is before
    assert (action.changed.state, action.reason, action.changed.state_since) == (state, reason, NOW)


@pytest.mark.parametrize(
    "seen",
    [
        observation(promotion("shadowing", age_h=25)),  # its pairs were counted a moment ago
        observation(promotion("shadowing", age_h=23), comparison=Comparison(39)),
        observation(promotion("probation"), champion=2, serving=2, comparison=Comparison(0)),
        observation(promotion("probation"), champion=2, serving=2, refused=(2,)),
        observation(promotion("promoting"), champion=2, serving=1),
        observation(promotion("rolling_back"), champion=1, serving=2),
    ],
)
def test_when_a_promotion_waits(seen: VersionObservation) -> None:
    assert decide(seen) == ()


def test_an_interim_look_that_does_not_end_a_phase_is_recorded() -> None:
    seen = observation(promotion("shadowing"), comparison=Comparison(40, WORSE))
    (action,) = decide(seen)
    assert isinstance(action, ChangePromotion)
    assert (action.changed.state, len(action.changed.looks)) == ("shadowing", 1)
    assert action.changed.state_since == action.seen.state_since


@pytest.mark.parametrize(("there", "champion", "expected"), [("promoting", 1, "2"), ("rolling_back", 2, "1")])
def test_the_registry_is_moved_before_the_routing_table(there: State, champion: int, expected: str) -> None:
    seen = observation(promotion(there), champion=champion, serving=champion)
    assert decide(seen) == (MakeChampion("linear", expected, "It passed the gate."),)


def test_a_version_that_the_registry_no_longer_moves_to_is_given_up() -> None:
    seen = observation(promotion("promoting", age_h=0.2), champion=1)
    champion, given_up = decide(seen)
    assert champion == MakeChampion("linear", "2", "It passed the gate.")
    assert isinstance(given_up, ChangePromotion)
    assert (given_up.changed.state, given_up.reason) == ("rolling_back", "It did not come into service.")


@pytest.mark.parametrize(
    ("found", "state", "reason"),
    [
        (version(2), "promoting", "api wants it."),
        (None, "rejected", "The registry has no version 2 of linear."),
    ],
)
def test_a_request_goes_on_with_what_the_registry_has(
    found: ArmVersion | None, state: State, reason: str
) -> None:
    by_hand = transitions.request("1", "toy", "linear", "2", "api", "", NOW)
    seen = observation()
    (action,) = decide(replace(seen, promotions=OpenPromotions((by_hand,), requested={"1": found})))
    assert isinstance(action, ChangePromotion)
    assert (action.changed.state, action.reason, action.changed.candidate) == (state, reason, found)
    assert action.changed.predecessor == (None if found is None else version(1))


def test_promotions_begin_before_others_go_on() -> None:
    seen = observation(promotion("shadowing", arm="mlp"), challenger=2)
    begun, superseded = decide(seen)
    assert begun == BEGIN
    assert isinstance(superseded, ChangePromotion)
    assert superseded.changed.state == "superseded"


def test_nothing_is_decided_where_promotions_are_not_known() -> None:
    assert decide(replace(observation(challenger=2), promotions=None)) == ()
