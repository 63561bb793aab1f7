from deployments.domain.routing import ArmVersion
from deployments.lifecycle.swaps import Swap, plan_swaps


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"bundles/{number}")


def test_arms_move_to_their_champions_in_order() -> None:
    champions = {"mlp": version(2), "linear": version(3), "boosting": version(9)}
    swaps = plan_swaps({"mlp": version(1)}, champions, ["linear", "mlp", "random_forest"], ())
    assert swaps == [Swap("linear", None, version(3)), Swap("mlp", version(1), version(2))]


def test_nothing_changes_when_all_arms_serve_their_champions() -> None:
    assert plan_swaps({"mlp": version(1)}, {"mlp": version(1)}, ["mlp"], ()) == []


def test_a_refused_bundle_is_not_tried_again_and_another_is() -> None:
    champions = {"mlp": version(2)}
    assert plan_swaps({"mlp": version(1)}, champions, ["mlp"], {"sha256:2"}) == []
    assert len(plan_swaps({"mlp": version(1)}, champions, ["mlp"], {"sha256:3"})) == 1


def test_an_arm_without_a_champion_keeps_its_version() -> None:
    assert plan_swaps({"mlp": version(1)}, {}, ["mlp"], ()) == []
