"""An id of two instances: its prediction is the first one's, and so are its truths, or nobody's."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from deployments.domain.instances import is_same_instance
from deployments.store import FeedbackCounts, PredictionRecord, Store, Truth
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import predictions
from tests.support.clocks import Clock
from tests.support.databases import Databases, clear, one_of
from tests.support.examples import examples
from tests.support.records import row, shadow_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def answer(payload: str, second: float, number: int = 1) -> PredictionRecord:
    return row(number)._replace(payload=payload, created_at=NOON + timedelta(seconds=second))


def feed(store: Store, clock: Clock, second: float, number: int = 1) -> FeedbackCounts:
    clock.now = NOON + timedelta(seconds=second)
    return store.write_truths("apogee", [Truth(str(number), {"apogee_m": 1.0})])


def joined(store: Store) -> list[str]:
    return [one.prediction.payload for one in store.joined("apogee")]


def test_a_truth_of_an_id_of_two_instances_is_nobodys(store: Store, clock: Clock) -> None:
    assert store.write_predictions([answer('{"a": 1}', 0)]) == []
    assert store.write_predictions([answer('{"a": 2}', 1), answer('{"a": 2}', 1, number=2)]) == ["1"]
    assert feed(store, clock, 2) == FeedbackCounts(accepted=0, duplicate=0, unmatched=1)
    assert feed(store, clock, 2, number=2).accepted == 1
    assert joined(store) == ['{"a": 2}']
    assert [one.id for _, one in store.predictions("apogee")] == ["1", "2"]


def test_an_instance_that_is_sent_again_changes_nothing(store: Store, clock: Clock) -> None:
    first = answer('{"a": 1, "b": null}', 0)
    store.write_predictions([first])
    assert store.write_predictions([first, answer('{ "a": 1.0, "id": "1" }', 1)]) == []
    assert feed(store, clock, 2).accepted == 1


def test_a_truth_from_between_two_instances_stays_with_the_first(store: Store, clock: Clock) -> None:
    store.write_predictions([answer('{"a": 1}', 0)])
    assert feed(store, clock, 1).accepted == 1
    store.write_predictions([answer('{"a": 2}', 2)])
    assert joined(store) == ['{"a": 1}']
    assert feed(store, clock, 3).duplicate == 1


def test_a_truth_that_came_before_the_second_was_written_is_taken_back(store: Store, clock: Clock) -> None:
    """Another router replica has answered the second, and writes its journal later."""
    store.write_predictions([answer('{"a": 1}', 0)])
    assert feed(store, clock, 2).accepted == 1
    store.write_predictions([answer('{"a": 2}', 1)])
    assert joined(store) == []
    assert store.journal("apogee_m").newest("apogee", "1.0", 10).until == 0


def test_a_shadow_is_not_compared_by_such_a_truth(store: Store, clock: Clock) -> None:
    first = answer('{"a": 1}', 0)
    store.write_predictions([first])
    store.shadows.write([shadow_of(first)])
    assert feed(store, clock, 2).accepted == 1
    sides = ("apogee", "mlp", "sha256:11", "sha256:00", NOON)
    assert len(store.shadows.pairs(*sides)) == 1
    store.write_predictions([answer('{"a": 2}', 1)])
    assert store.shadows.pairs(*sides) == []


def test_the_first_other_instance_counts_in_whatever_order_they_are_written(store: Store) -> None:
    store.write_predictions([answer('{"a": 1}', 0)])
    store.write_predictions([answer('{"a": 2}', 9), answer('{"a": 3}', 5)])
    store.write_predictions([answer('{"a": 4}', 7)])
    with reading(store.engine) as connection:
        assert connection.scalar(select(predictions.c.reused_at)) == NOON + timedelta(seconds=5)


def test_blocks_of_rows_are_counted_too(store: Store) -> None:
    rows = [answer('{"a": 1}', 0, number) for number in range(600)]
    store.write_predictions(rows)
    again = [answer('{"a": 2}', 1, 17), *rows[18:590], answer('{"a": 2}', 1, 599)]
    assert store.write_predictions(again) == ["17", "599"]


def test_payloads_are_those_of_the_workload_and_the_ids(store: Store) -> None:
    store.write_predictions([answer('{"a": 1}', 0, number) for number in range(5)])
    assert store.payloads("apogee", ["1", "4", "9"]) == {"1": '{"a": 1}', "4": '{"a": 1}'}
    assert store.payloads("weather", ["1"]) == store.payloads("apogee", []) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a": 1}', '{"a":1.0}', True),
        ('{"a": 1, "id": 7}', '{"a": 1, "schema_version": "1.0"}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ('{"a": 1}', '{"b": 1}', False),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"f": "A", "samples": [{"t": 1}, {"t": 2}]}', '{"f": "A", "samples": [{"t": 2, "x": null}]}', True),
        ('{"f": "A", "samples": [{"t": 1}, {"t": 2}]}', '{"f": "A", "samples": [{"t": 1}]}', False),
        ('{"f": "A", "samples": [{"t": 2}]}', '{"f": "B", "samples": [{"t": 2}]}', False),
        ('{"f": "A", "samples": [{"t": 2}]}', '{"f": "A"}', False),
    ],
)
def test_equal_instances_may_be_written_and_completed_differently(one: str, other: str, same: bool) -> None:
    assert is_same_instance(one, other.encode()) is is_same_instance(other, one.encode()) is same


@pytest.mark.parametrize(
    ("with_key", "second", "is_used"), [(True, -5, True), (False, -5, False), (False, 5, True)]
)
def test_who_has_no_key_tells_no_truth_before_the_answer(
    store: Store, clock: Clock, with_key: bool, second: int, is_used: bool
) -> None:
    told = Truth("1", {"apogee_m": 1.0}, sent_by="192.0.2.7", with_key=with_key)
    clock.now = NOON + timedelta(seconds=second)
    # received after the answer, and before the journal was written
    store.write_truths("apogee", [told])
    store.write_predictions([answer("{}", 0)])
    assert bool(joined(store)) is is_used
    # a wrong one that stands first is not hidden either
    assert store.write_truths("apogee", [told]).duplicate == 1


def test_two_routers_with_one_id_at_once_leave_one_prediction(store: Store, clock: Clock) -> None:
    found: list[list[str]] = []
    begin = threading.Barrier(4)

    def write(number: int) -> None:
        begin.wait()
        found.append(store.write_predictions([answer(f'{{"a": {number}}}', number)]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[], ["1"], ["1"], ["1"]]
    assert feed(store, clock, 9).accepted == 0


@pytest.fixture(scope="module")
def shared(databases: Databases) -> Iterator[tuple[Store, Clock]]:
    """For examples that clear it."""
    clock = Clock()
    with one_of(databases) as url, closing(Store(url, clock)) as opened:
        yield opened, clock


# a truth, or the answer about one of three instances; and how many events later it is written
Events = st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), st.integers(0, 4)), max_size=10)


@given(events=Events)
@settings(max_examples=examples(25))
def test_in_any_order_a_truth_is_of_an_instance_that_it_can_only_be_of(
    shared: tuple[Store, Clock], events: list[tuple[int | None, int]]
) -> None:
    store, clock = shared
    clear(store)
    writes = sorted((second + late, second, what) for second, (what, late) in enumerate(events) if what)
    told: list[int] = []
    for second, (what, _) in enumerate(events):
        for due, answered, instance in writes:
            if due == second:
                store.write_predictions([answer(f'{{"a": {instance}}}', answered)])
        if what is None:
            feed(store, clock, second)
            told.append(second)
    for due, answered, instance in writes:
        if due >= len(events):
            store.write_predictions([answer(f'{{"a": {instance}}}', answered)])
    kept = writes[0][2] if writes else None
    others = [answered for _, answered, instance in writes if instance != kept]
    is_of_the_first = bool(writes and told and told[0] < min(others, default=len(events)))
    assert joined(store) == ([f'{{"a": {kept}}}'] if is_of_the_first else [])
