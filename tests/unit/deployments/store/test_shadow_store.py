"""What shadows said, in the store: pairs with what was served, and the routing that asks for them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.store import PredictionRecord, ShadowPair, Store, Truth
from tests.support.records import row, shadow_of
from training.runtime.tasks.base import ArmAnswer

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = RoutingPolicy(weights={"mlp": 0.8, "linear": 0.2})
SERVED, SHADOW = "sha256:00", "sha256:11"


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"models/{number}")


def at(number: int, **changes: object) -> PredictionRecord:
    """The prediction `number`, made so many seconds after the first."""
    return row(number)._replace(created_at=BEGIN + timedelta(seconds=number), **changes)  # type: ignore[arg-type]


def truths(*numbers: int) -> list[Truth]:
    return [Truth(str(number), {"apogee_m": float(number)}) for number in numbers]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url, lambda: BEGIN)) as opened:
        yield opened


def found(store: Store, since: datetime = BEGIN, limit: int = 100) -> list[int]:
    """Numbers of the pairs that there are; counted and read alike."""
    pairs = store.shadows.pairs("apogee", "mlp", SHADOW, SERVED, since, limit)
    assert store.shadows.count("apogee", "mlp", SHADOW, SERVED, since, limit) == len(pairs)
    return [int(pair.truth["apogee_m"]) for pair in pairs]


def test_a_pair_has_what_was_served_what_the_shadow_predicted_and_the_truth(store: Store) -> None:
    store.write_predictions([at(1)])
    store.shadows.write([shadow_of(at(1))])
    store.write_truths("apogee", truths(1))
    assert store.shadows.pairs("apogee", "mlp", SHADOW, SERVED, BEGIN) == [
        ShadowPair(
            created_at=BEGIN + timedelta(seconds=1),
            served=ArmAnswer({"apogee_m": 1.0}, {"apogee_m": [0.5, 1.5]}, 0.9),
            shadow=ArmAnswer({"apogee_m": 2.0}, {"apogee_m": [1.5, 2.5]}, 0.9),
            truth={"apogee_m": 1.0},
        )
    ]


def test_pairs_are_complete_in_whatever_order_their_parts_come(store: Store) -> None:
    store.write_truths("apogee", truths(1))
    store.shadows.write([shadow_of(at(1)), shadow_of(at(2)), shadow_of(at(3)), shadow_of(at(4))])
    assert found(store) == []
    store.write_predictions([at(number) for number in (3, 2, 1)])
    assert found(store) == [1]
    store.write_truths("apogee", truths(2, 3, 4))
    assert found(store) == [1, 2, 3]


def test_pairs_are_those_since_a_time_the_oldest_first_and_no_more_than_asked(store: Store) -> None:
    store.write_predictions([at(number) for number in range(6)])
    store.shadows.write([shadow_of(at(number)) for number in (5, 3, 0, 4, 2)])
    store.write_truths("apogee", truths(*range(6)))
    assert found(store) == [0, 2, 3, 4, 5]
    assert found(store, BEGIN + timedelta(seconds=3)) == [3, 4, 5]
    assert found(store, BEGIN, limit=2) == [0, 2]
    assert found(store, BEGIN + timedelta(seconds=9)) == []


def test_pairs_of_other_traffic_are_left_out(store: Store) -> None:
    others = [
        at(1, named=True),
        at(2, arm="linear"),
        at(3, bundle="sha256:99"),
        at(4, workload="weather"),
        at(5),
    ]
    store.write_predictions(others)
    store.shadows.write([*map(shadow_of, others), shadow_of(at(5), bundle="sha256:22")])
    for workload in ("apogee", "weather"):
        store.write_truths(workload, truths(1, 2, 3, 4, 5))
    assert found(store) == [5]
    assert len(store.shadows.pairs("apogee", "mlp", "sha256:22", SERVED, BEGIN)) == 1
    assert store.shadows.count("apogee", "linear", SHADOW, SERVED, BEGIN, 9) == 1


def test_an_answer_to_another_request_of_the_same_id_makes_no_pair(store: Store) -> None:
    store.write_predictions([at(1)])
    store.shadows.write([shadow_of(at(1)._replace(created_at=BEGIN + timedelta(seconds=7)))])
    store.write_truths("apogee", truths(1))
    assert found(store) == []


def test_the_first_prediction_of_a_bundle_for_an_id_stands(store: Store) -> None:
    store.write_predictions([at(1), at(2)])
    store.write_truths("apogee", truths(1, 2))
    first, again = shadow_of(at(1)), replace(shadow_of(at(1)), prediction={"apogee_m": 9.0})
    store.shadows.write([])
    store.shadows.write([first])
    store.shadows.write([again, shadow_of(at(2)), again])
    pairs = store.shadows.pairs("apogee", "mlp", SHADOW, SERVED, BEGIN)
    assert [pair.shadow.prediction for pair in pairs] == [{"apogee_m": 2.0}] * 2


def test_shadows_are_set_kept_and_taken_out(store: Store) -> None:
    store.put_policy("apogee", POLICY)
    store.put_arm("apogee", "mlp", version(1))
    assert (
        store.put_shadows("apogee", {"mlp": version(2), "linear": version(3)}, actor="lifecycle_controller")
        == 3
    )
    assert store.put_shadows("apogee", {"linear": None}) == 4
    assert store.put_shadows("apogee", {"mlp": version(2), "linear": None}) == 4  # as it is already
    table = store.routing("apogee")
    assert table == RoutingTable(
        revision=4, policy=POLICY, arms={"mlp": version(1)}, shadows={"mlp": version(2)}
    )
    act = store.audit_events("apogee")[2]
    assert (act.kind, act.actor, act.detail["from"]) == (
        "shadows",
        "lifecycle_controller",
        {"mlp": None, "linear": None},
    )
    assert act.detail["to"]["mlp"]["bundle"] == "sha256:2"


def test_shadows_may_be_put_before_there_is_anything_else(store: Store) -> None:
    assert store.put_shadows("apogee", {"mlp": None}) == 0
    assert store.put_shadows("apogee", {"mlp": version(2)}) == 1
    store.put_policy("apogee", POLICY)
    table = store.routing("apogee")
    assert table is not None
    assert (table.arms, table.shadows) == ({}, {"mlp": version(2)})


def test_the_version_before_is_kept_for_each_arm(store: Store) -> None:
    store.put_policy("apogee", POLICY)
    store.put_arms("apogee", {"mlp": version(1), "linear": version(1)})
    assert previous(store) == {}
    store.put_arm("apogee", "mlp", version(2))
    store.put_arm("apogee", "mlp", version(2))
    assert previous(store) == {"mlp": version(1)}
    store.put_arms("apogee", {"mlp": version(1), "linear": None})
    assert previous(store) == {"mlp": version(2), "linear": version(1)}
    store.put_arm("apogee", "mlp", version(3))
    assert previous(store) == {"mlp": version(1), "linear": version(1)}


def previous(store: Store) -> dict[str, ArmVersion]:
    table = store.routing("apogee")
    assert table is not None
    return table.previous
