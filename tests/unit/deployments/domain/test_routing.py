from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.domain.errors import NoArmAvailable
from deployments.domain.rendezvous import pick, unit_hash
from deployments.domain.routing import Decision, RoutingPolicy, check_arms, choose
from features.errors import FieldError

ARMS = ("mlp", "random_forest", "linear")
POLICY = RoutingPolicy(weights={"mlp": 0.6, "random_forest": 0.2, "linear": 0.2}, fallback=ARMS)
KEYS = [f"flight-{i}" for i in range(10_000)]


def decide(policy: RoutingPolicy = POLICY, **changes: object) -> Decision:
    arguments = {"workload": "apogee", "available_arms": ARMS, "entity": "A12", "request_key": "1", **changes}
    return choose(policy, **arguments)  # type: ignore[arg-type]


def picks(**weights: float) -> list[str]:
    return [pick(weights, "apogee", key) for key in KEYS]


def test_the_hash_is_the_same_everywhere_and_for_ever() -> None:
    assert unit_hash("apogee", "A12", "mlp") == 0.652091325423274
    assert unit_hash("ab", "c") != unit_hash("a", "bc")


def test_the_split_of_ten_thousand_keys() -> None:
    assert Counter(picks(mlp=0.6, random_forest=0.2, linear=0.2)) == {
        "mlp": 6006,
        "random_forest": 1975,
        "linear": 2019,
    }


def test_growing_one_weight_moves_keys_to_that_arm_only() -> None:
    before = picks(mlp=0.9, challenger=0.1)
    after = picks(mlp=0.9, challenger=0.4)
    moves = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)
    assert set(moves) == {("mlp", "challenger")}
    # the shares differ by 0.4 / 1.3 - 0.1 = 0.2077
    assert moves.total() == 2103


def test_an_arm_that_goes_moves_its_own_keys_only() -> None:
    before = picks(mlp=0.6, random_forest=0.2, linear=0.2)
    after = picks(mlp=0.6, random_forest=0.2)
    assert all(a == b or a == "linear" for a, b in zip(before, after, strict=True))


def test_a_shift_between_two_arms_stays_within_the_bound() -> None:
    before = picks(mlp=0.6, random_forest=0.2, linear=0.2)
    after = picks(mlp=0.5, random_forest=0.2, linear=0.3)
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    # distance 0.1: no fewer than 1,000 have to move, and no more than 2 * 0.1 / 1.1 = 0.1818 of them may
    assert moved == 1223


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.001, 100), min_size=1),
    st.text(),
    st.floats(0.01, 50),
)
def test_only_the_relation_of_weights_counts(weights: dict[str, float], key: str, factor: float) -> None:
    scaled = {arm: weight * factor for arm, weight in reversed(weights.items())}
    assert pick(weights, "w", key) == pick(scaled, "w", key)


def test_sticky_follows_the_entity_and_else_the_request() -> None:
    sticky = {decide(request_key=str(i)).arm for i in range(50)}
    assert len(sticky) == 1
    loose = POLICY.model_copy(update={"sticky": False})
    assert {decide(loose, request_key=str(i)).arm for i in range(50)} == set(ARMS)
    assert len({decide(loose, entity=str(i)).arm for i in range(50)}) == 1


def test_attempts_are_the_choice_and_then_the_fallback_order() -> None:
    decision = decide()
    assert decision == Decision("mlp", ("mlp", "random_forest", "linear"), False, "by weight")
    assert decide(available_arms=("linear", "mlp")).attempts == ("mlp", "linear")
    assert decide(POLICY.model_copy(update={"fallback": ()})).attempts == ("mlp",)


def test_an_open_breaker_is_passed_over() -> None:
    decision = decide(is_open=lambda arm: arm == "mlp")
    assert decision == Decision("mlp", ("random_forest", "linear"), False, "the breaker of mlp is open")
    assert decide(is_open=lambda arm: arm == "random_forest").attempts == ("mlp", "linear")


def test_when_every_breaker_is_open_the_choice_alone_is_tried() -> None:
    assert decide(is_open=lambda arm: True) == Decision("mlp", ("mlp",), False, "every breaker is open")


def test_a_named_arm_is_tried_alone() -> None:
    decision = decide(requested_arm="linear", is_open=lambda arm: True)
    assert decision == Decision("linear", ("linear",), True, "named by the request")


def test_an_unknown_named_arm_is_refused_with_the_known_ones() -> None:
    expected = r"Raysonde-Arm: got 'mpl', expected one of \['linear', 'mlp', 'random_forest'\]"
    with pytest.raises(FieldError, match=expected):
        decide(requested_arm="mpl")


def test_without_a_weighted_arm_the_first_fallback_answers() -> None:
    policy = RoutingPolicy(weights={"challenger": 1, "mlp": 0}, fallback=("linear",))
    assert decide(policy).attempts == ("linear",)
    with pytest.raises(NoArmAvailable, match=r"none of the arms \['challenger', 'linear', 'mlp'\]"):
        decide(policy, available_arms=("mlp",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"mlp": -0.5}}, "greater than or equal to 0"),
        ({"weights": {"mlp": 0}}, r"got \{'mlp': 0.0\}, expected at least one above 0"),
        ({"weights": {}}, "expected at least one above 0"),
        ({"weights": {"mlp": float("nan")}}, "finite"),
        ({"fallback": ("mlp", "mlp")}, r"got \['mlp', 'mlp'\], expected each arm once"),
        ({"deadlines_s": {"mpl": 1}}, r"got the arm 'mpl', expected one of \['mlp'\]"),
        ({"deadlines_s": {"mlp": 0}}, "greater than or equal to 0.0001"),
        ({"deadline_s": 1e-9}, "greater than or equal to 0.01"),
        ({"deadline_s": 1e300}, "less than or equal to 600"),
        ({"weights": {"mlp": 1e300}}, "less than or equal to 1000000"),
        ({"weights": {"x" * 65: 1}}, "at most 64 characters"),
        ({"weights": {"a\0": 1}}, "pattern"),
        ({"weights": {str(number): 1 for number in range(65)}}, "at most 64 items"),
        ({"fallback": [str(number) for number in range(65)]}, "at most 64 items"),
        ({"ensembles": {"x" * 65: {"arms": ["a", "b"]}}}, "at most 64 characters"),
        ({"ensembles": {"e": {"arms": ["a", "b"], "min_truths": 10**30}}}, "less than or equal to 5000"),
        ({"breaker": {"failures_to_open": 2**64}}, "less than or equal to 1000000"),
        ({"wieghts": {}}, "Extra inputs"),
    ],
)
def test_a_wrong_policy_is_refused_with_what_it_says(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RoutingPolicy.model_validate({"weights": {"mlp": 1}} | change)


def test_deadlines_of_single_arms() -> None:
    policy = RoutingPolicy(weights={"mlp": 1, "linear": 1}, deadline_s=2, deadlines_s={"mlp": 0.5})
    assert (policy.arm_deadline_s("mlp"), policy.arm_deadline_s("linear")) == (0.5, 2)


def test_every_field_of_the_policy_is_described() -> None:
    fields = RoutingPolicy.model_json_schema()["properties"].values()
    assert all("description" in field for field in fields)


def test_a_policy_names_known_arms_only() -> None:
    check_arms(POLICY, ARMS)
    with pytest.raises(
        FieldError, match=r"fallback: got 'linear', expected arms out of \['mlp', 'random_forest'\]"
    ):
        check_arms(RoutingPolicy(weights={"mlp": 1}, fallback=("linear",)), ARMS[:2])
