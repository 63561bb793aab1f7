from datetime import UTC, datetime

import pytest
from toy.parts import toy_contract

from deployments.domain.promotion_transitions import begin
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, OpenPromotions, VersionObservation
from deployments.lifecycle.swaps import ShadowChange, Swap, decide_swaps, plan_swaps

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"bundles/{number}")


def test_arms_move_to_their_champions_in_order() -> None:
    champions = {"mlp": version(2), "linear": version(3), "boosting": version(9)}
    swaps = plan_swaps({"mlp": version(1)}, champions, ["linear", "mlp", "random_forest"], ())
    assert swaps == [Swap("linear", None, version(3)), Swap("mlp", version(1), version(2))]


def test_nothing_changes_when_all_arms_serve_their_champions() -> None:
    assert plan_swaps({"mlp": version(1)}, {"mlp": version(1)}, ["mlp"], ()) == []


def test_a_refused_bundle_is_left_alone_and_another_is_not() -> None:
    champions = {"mlp": version(2)}
    assert plan_swaps({"mlp": version(1)}, champions, ["mlp"], {"sha256:2"}) == []
    assert len(plan_swaps({"mlp": version(1)}, champions, ["mlp"], {"sha256:3"})) == 1


def test_an_arm_without_a_champion_keeps_its_version() -> None:
    assert plan_swaps({"mlp": version(1)}, {}, ["mlp"], ()) == []


def observation(
    promotions: OpenPromotions | None, *, has_table: bool = True, refused: tuple[int, ...] = ()
) -> VersionObservation:
    """The arm `mlp` serves version 1 with version 5 in its shadow, and its champion is version 2."""
    table = RoutingTable(
        revision=1,
        policy=RoutingPolicy(weights={"mlp": 1.0}),
        arms={"mlp": version(1)},
        shadows={"mlp": version(5)},
    )
    return VersionObservation(
        now=NOW,
        served=Served(toy_contract(), ("linear", "mlp")),
        aliases=Aliases({"mlp": version(2)}, {}),
        table=table if has_table else None,
        refused={f"sha256:{number}": "off by 1 m" for number in refused},
        promotions=promotions,
    )


def proving(number: int) -> OpenPromotions:
    """Version `number` is to be in the shadow of `mlp`."""
    return OpenPromotions((begin("1", "toy", "mlp", version(number), version(1), NOW),))


SWAP = Swap("mlp", version(1), version(2))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (observation(proving(5)), (SWAP,)),
        (observation(None), (SWAP,)),
        (observation(proving(6)), (SWAP, ShadowChange((Swap("mlp", version(5), version(6)),), ()))),
        (observation(OpenPromotions()), (SWAP, ShadowChange((), ("mlp",)))),
        (observation(proving(6), refused=(2, 6)), ()),
        (observation(OpenPromotions(), refused=(2,)), (ShadowChange((), ("mlp",)),)),
        (observation(None, has_table=False), (Swap("mlp", None, version(2)),)),
    ],
)
def test_champions_come_before_shadows(
    seen: VersionObservation, expected: tuple[Swap | ShadowChange, ...]
) -> None:
    assert decide_swaps(seen) == expected
