"""Rows that move step by step: whoever saw an older one moves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain import promotion_transitions, retraining_transitions
from deployments.domain.errors import Conflict, NotFound
from deployments.domain.promotion import InterimLook, Promotion
from deployments.domain.retraining import Request, Retraining
from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"bundles/{number}")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store(store_url, lambda: NOW)
    store.create_tables()
    yield store
    store.close()


def with_look(row: Promotion) -> Promotion:
    look = InterimLook(
        phase="shadowing", at=NOW, truths=40, passed=False, reasons=("not better",), numbers={}
    )
    return row.model_copy(update={"looks": (*row.looks, look)})


def test_of_two_interim_looks_at_once_one_is_recorded(store: Store) -> None:
    seen = store.promotions.begin("toy", "linear", version(2), version(1))
    store.promotions.change(seen, with_look)
    with pytest.raises(Conflict, match=f"promotion {seen.id}: is shadowing by now, not shadowing"):
        store.promotions.change(seen, with_look)
    assert len(store.promotions.get(seen.id).looks) == 1


def test_of_two_that_move_a_promotion_one_does(store: Store) -> None:
    seen = store.promotions.begin("toy", "linear", version(2), version(1))
    store.promotions.change(seen, lambda row: promotion_transitions.promote(row, "api", NOW))
    with pytest.raises(Conflict, match="is promoting by now, not shadowing"):
        store.promotions.change(seen, lambda row: promotion_transitions.superseded(row, "late", NOW))
    assert store.promotions.get(seen.id).state == "promoting"
    with pytest.raises(NotFound, match="no promotion 'x'"):
        store.promotions.change(seen.model_copy(update={"id": "x"}), with_look)


def again(row: Retraining) -> Retraining:
    return retraining_transitions.start(row, NOW + timedelta(minutes=1))


def test_of_two_that_start_an_attempt_at_once_one_does(store: Store) -> None:
    requested = store.retrainings.request("toy", Request(reason="by hand", at=NOW, by="test"))
    seen = store.retrainings.change(requested, again)
    store.retrainings.change(seen, again)
    with pytest.raises(Conflict, match=f"retraining {seen.id}: is submitting by now, not submitting"):
        store.retrainings.change(seen, again)
    assert len(store.retrainings.get(seen.id).attempts) == 2
    with pytest.raises(Conflict, match="is submitting by now, not waiting"):
        store.retrainings.change(requested, again)


def test_a_person_takes_back_what_is_promoting_or_on_probation_and_nothing_else(store: Store) -> None:
    store.put_policy("toy", RoutingPolicy(weights={"linear": 1.0}))
    store.put_arm("toy", "linear", version(1))
    table = store.routing("toy")
    assert table is not None
    seen = store.promotions.begin("toy", "linear", version(2), version(1))
    with pytest.raises(Conflict, match="has had no version before"):
        store.promotions.roll_back("toy", "linear", table, "api", "")
    with_one_before = table.model_copy(update={"previous": {"linear": version(3)}})
    with pytest.raises(Conflict, match="version 2 is shadowing now"):
        store.promotions.roll_back("toy", "linear", with_one_before, "api", "")
    seen = store.promotions.change(seen, lambda row: promotion_transitions.promote(row, "gate", NOW))
    assert store.promotions.roll_back("toy", "linear", table, "api", "").state == "rolling_back"
