"""Truths without a prediction are kept for a while, and no more than so many."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from deployments.store import Store, Truth
from deployments.store.migrations.runner import migrate
from deployments.store.migrations.upgrade import create_tables
from deployments.store.sql.engine import open_engine, reading, writing
from deployments.store.sql.schema import joins, truths, waiting_truths
from tests.support.clocks import Clock
from tests.support.records import row

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tell(store: Store, *numbers: int, workload: str = "apogee") -> None:
    store.write_truths(workload, [Truth(str(number), {"apogee_m": 1.0}) for number in numbers])


def kept(store: Store) -> tuple[list[str], list[str]]:
    """The ids of the truths, and of those that wait."""
    with reading(store.engine) as connection:
        found = [
            connection.scalars(select(one.c.id).order_by(one.c.id)).all() for one in (truths, waiting_truths)
        ]
    return list(found[0]), list(found[1])


def test_the_oldest_go_where_too_many_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.store.waiting_truths.MOST_WAITING", 3)
    store.write_predictions([row(0)])
    tell(store, 0, 1, 2, 3)
    tell(store, 7, workload="weather")
    assert kept(store) == (["0", "1", "2", "3", "7"], ["1", "2", "3", "7"])
    store.write_predictions([row(3)])
    tell(store, 4, 5)
    # one with its prediction stays, and one of another workload does not count
    assert kept(store) == (["0", "2", "3", "4", "5", "7"], ["2", "4", "5", "7"])
    store.write_predictions([row(1), row(2)])
    assert {one.prediction.id for one in store.joined("apogee")} == {"0", "2", "3"}


def test_they_go_after_a_week(store: Store, clock: Clock) -> None:
    store.write_predictions([row(0)])
    tell(store, 0, 1)
    clock.now += timedelta(days=6)
    tell(store, 2)
    assert kept(store)[1] == ["1", "2"]
    clock.now += timedelta(days=2)
    tell(store, 3)
    assert kept(store) == (["0", "2", "3"], ["2", "3"])


def test_a_call_of_many_leaves_no_more_than_there_may_be(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.store.waiting_truths.MOST_WAITING", 10)
    for begin in (0, 3000):
        tell(store, *range(begin, begin + 3000))
        assert len(kept(store)[0]) == len(kept(store)[1]) == 10


def test_truths_from_before_wait_as_new_ones_do(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with writing(engine) as connection:
        migrate(connection, "0005")
        rows = [
            {"workload": "apogee", "id": id_, "value": {}, "received_at": NOW, "with_key": True}
            for id_ in "abc"
        ]
        connection.execute(truths.insert(), rows)
        connection.execute(joins.insert(), [{"workload": "apogee", "id": "b"}])
    create_tables(engine)
    with reading(engine) as connection:
        found = connection.execute(select(waiting_truths.c.id, waiting_truths.c.received_at)).all()
    assert sorted(map(tuple, found)) == [("a", NOW), ("c", NOW)]
    engine.dispose()
