"""Which champions do not serve, with the reason that helps, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from toy.parts import toy_contract

from deployments.domain.routing import ArmVersion, HeldBack, RoutingPolicy, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.held_back import LOAD_TAKES, Deferral, held_back
from deployments.lifecycle.observation import Aliases, Unreadable, VersionObservation
from tests.support.clocks import NOON


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"bundles/{number}")


def observation(
    champion: ArmVersion | None = None,
    unreadable: Unreadable | None = None,
    before: Mapping[str, HeldBack] | None = None,
) -> VersionObservation:
    """The arm `mlp` serves version 1, and its champion is this one."""
    return VersionObservation(
        now=NOON,
        served=Served(toy_contract(), ("linear", "mlp")),
        aliases=Aliases(
            {} if champion is None else {"mlp": champion, "boosting": version(9)},
            {},
            {} if unreadable is None else {"mlp": unreadable},
        ),
        table=RoutingTable(
            revision=1,
            policy=RoutingPolicy(weights={"mlp": 1.0}),
            arms={"mlp": version(1)},
            held_back=dict(before or {}),
        ),
        refused={},
        promotions=None,
    )


def deferred(number: int, ago: timedelta) -> dict[str, Deferral]:
    return {"mlp": Deferral(version(number), NOON - ago, "mlp does not answer")}


@pytest.mark.parametrize(
    ("seen", "refusals", "deferrals", "expected"),
    [
        (observation(version(1)), {}, {}, None),
        # what was refused once, and serves by now
        (observation(version(1)), {"sha256:1": "torn"}, {}, None),
        (observation(), {}, {}, None),
        # on its way
        (observation(version(2)), {}, {}, None),
        (observation(version(2)), {"sha256:3": "torn"}, {}, None),
        (observation(version(2)), {"sha256:2": "torn"}, {}, "Replicas refuse it: torn"),
        (observation(version(2)), {}, deferred(2, LOAD_TAKES - timedelta(seconds=1)), None),
        (observation(version(2)), {}, deferred(2, LOAD_TAKES), "It is not loaded yet: mlp does not answer"),
        (observation(version(2)), {}, deferred(3, LOAD_TAKES), None),
        (observation(unreadable=Unreadable("2", "it is gone")), {}, {}, "It cannot be read: it is gone"),
    ],
)
def test_the_reason(
    seen: VersionObservation,
    refusals: Mapping[str, str],
    deferrals: Mapping[str, Deferral],
    expected: str | None,
) -> None:
    found = held_back(seen, refusals, deferrals)
    assert {arm: (one.model_version, one.reason) for arm, one in found.items()} == (
        {"mlp": ("2", expected)} if expected else {}
    )


def test_it_is_so_since_it_was_first_so() -> None:
    early = NOON - timedelta(hours=3)
    for before, since in [("2", early), ("1", NOON)]:
        there = {"mlp": HeldBack(model_version=before, reason="late", since=early)}
        found = held_back(observation(version(2), before=there), {"sha256:2": "torn"}, {})
        assert (found["mlp"].since, found["mlp"].reason) == (since, "Replicas refuse it: torn")
