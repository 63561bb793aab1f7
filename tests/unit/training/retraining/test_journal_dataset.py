"""From the journal to what families learn from: the rows that were answered, in their order, split by age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from toy.parts import toy_contract

from deployments.requests.parser import InstanceParser
from deployments.store import PredictionRecord, Store, Truth
from features.config import load_contract
from features.workload import load_workload
from tests.support.flights import fly, instance_of
from tests.support.records import row
from training.data.dataset import Dataset, joined
from training.data.splits import Splits
from training.retraining.journal_dataset import NothingJournalled, instance_matrix, read_journal
from training.retraining.journal_mix import mix, split_journal
from training.runtime.journal_query import Example, Journal, JournalQuery
from training.runtime.settings import REPOSITORY

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
TOY = toy_contract()
WORKLOAD = load_workload(TOY)


def toy_row(number: int, minute: int | None = None, **changes: Any) -> PredictionRecord:
    body = {"thing": f"t{number}", "length_m": 1.0 + number % 8, "width_m": 2.0}
    return row(number)._replace(
        workload="toy",
        entity=f"t{number}",
        created_at=BEGIN + timedelta(minutes=number if minute is None else minute),
        payload=orjson.dumps(body).decode(),
        **changes,
    )


def toy_truth(number: int) -> Truth:
    return Truth(str(number), {"area_m2": 10.0 + number})


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url)) as opened:
        yield opened


def filled(store: Store, count: int) -> None:
    store.write_predictions([toy_row(n) for n in range(count)])
    store.write_truths("toy", [toy_truth(n) for n in range(count)])


def test_rows_are_those_that_were_answered_in_the_order_of_their_predictions(store: Store) -> None:
    store.write_predictions([toy_row(1, 30), toy_row(2, 10), toy_row(3, 20), toy_row(4, 0)])
    store.write_truths("toy", [toy_truth(n) for n in (1, 2, 3)])
    journal = store.journal("area_m2")
    found = read_journal(TOY, WORKLOAD, journal, journal.newest("toy", "1.0", 100))
    assert found.dataset.target.tolist() == [12.0, 13.0, 11.0]
    assert found.dataset.raw.tolist() == [[3, 2, 0], [4, 2, 0], [2, 2, 0]]
    assert found.dataset.features[:, 2].tolist() == [6, 8, 4]
    assert found.dataset.end_s.tolist() == [0, 1, 2]
    assert (found.first, found.last) == (BEGIN + timedelta(minutes=10), BEGIN + timedelta(minutes=30))


def test_an_equal_query_gives_equal_data_however_much_comes_later(store: Store) -> None:
    filled(store, 40)
    journal = store.journal("area_m2")
    query = journal.newest("toy", "1.0", 30)
    assert (query.after, query.until) == (10, 40)
    before = read_journal(TOY, WORKLOAD, journal, query).dataset
    store.write_predictions([toy_row(n) for n in range(40, 60)])
    store.write_truths("toy", [toy_truth(n) for n in range(60)])
    again = JournalQuery.model_validate_json(query.model_dump_json())
    after = read_journal(TOY, WORKLOAD, journal, again).dataset
    assert after.data_hash == before.data_hash
    np.testing.assert_array_equal(after.features, before.features)
    other = read_journal(TOY, WORKLOAD, journal, journal.newest("toy", "1.0", 30)).dataset
    assert other.data_hash != before.data_hash


class OtherTruths:
    """A journal with one truth that is another."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def examples(self, query: JournalQuery, after: int, limit: int) -> Sequence[Example]:
        first, *others = self._journal.examples(query, after, limit) or (None,)
        return [] if first is None else [replace(first, truth=99.0), *others]


def test_the_hash_is_of_the_pairs_and_not_of_the_query_alone(store: Store) -> None:
    filled(store, 5)
    journal = store.journal("area_m2")
    query = journal.newest("toy", "1.0", 30)
    one, other = (read_journal(TOY, WORKLOAD, it, query).dataset for it in (journal, OtherTruths(journal)))
    assert one.data_hash != other.data_hash
    assert len(one.data_hash) == 64


def test_pairs_of_one_time_are_in_the_order_of_their_truths(store: Store) -> None:
    store.write_predictions([toy_row(n, minute) for n, minute in ((1, 5), (2, 5), (3, 0), (4, 5))])
    for number in (4, 1, 3, 2):
        store.write_truths("toy", [toy_truth(number)])
    journal = store.journal("area_m2")
    found = read_journal(TOY, WORKLOAD, journal, journal.newest("toy", "1.0", 100)).dataset
    assert found.target.tolist() == [13.0, 14.0, 11.0, 12.0]


def test_a_query_is_bounded_by_contract_and_time(store: Store) -> None:
    filled(store, 10)
    store.write_predictions([toy_row(n, schema_version="0.9") for n in (20, 21)])
    store.write_truths("toy", [toy_truth(n) for n in (20, 21)])
    journal = store.journal("area_m2")
    assert journal.count(journal.newest("toy", "1.0", 100), 100) == 10
    assert journal.count(journal.newest("toy", "0.9", 100), 100) == 2
    assert journal.count(journal.newest("toy", "1.0", 100), 4) == 4
    since = journal.newest("toy", "1.0", 100, BEGIN + timedelta(minutes=7))
    assert journal.count(since, 100) == 3
    with pytest.raises(NothingJournalled):
        read_journal(TOY, WORKLOAD, journal, journal.newest("weather", "1.0", 100))


def test_pages_are_read_one_after_the_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store, 25)
    journal = store.journal("area_m2")
    query = journal.newest("toy", "1.0", 100)
    whole = read_journal(TOY, WORKLOAD, journal, query)
    monkeypatch.setattr("training.retraining.journal_dataset.PAGE_ROWS", 7)
    paged = read_journal(TOY, WORKLOAD, journal, query)
    assert paged.dataset.data_hash == whole.dataset.data_hash
    np.testing.assert_array_equal(paged.dataset.target, whole.dataset.target)


def test_a_pair_that_cannot_be_used_is_counted_and_no_more(store: Store) -> None:
    filled(store, 5)
    odd = toy_row(7)._replace(payload='{"thing": "t7"}')
    store.write_predictions([odd, toy_row(8)])
    store.write_truths("toy", [toy_truth(7), Truth("8", {"other": 1.0})])
    journal = store.journal("area_m2")
    found = read_journal(TOY, WORKLOAD, journal, journal.newest("toy", "1.0", 100))
    assert (len(found.dataset.target), found.skipped) == (5, 2)


@pytest.mark.parametrize("name", ["apogee", "calories", "reentry", "trajectory", "weather"])
def test_an_instance_is_the_matrix_that_was_answered(name: str) -> None:
    contract = load_contract(REPOSITORY / "configs" / "workloads", name)
    assert contract.example
    body = orjson.dumps(contract.example)
    answered = InstanceParser(contract).parse_instance(body)
    raw, end_s = instance_matrix(contract, answered.payload.decode())
    np.testing.assert_array_equal(raw, answered.raw)
    assert end_s == (contract.example["samples"][-1][contract.window.time] if contract.window else 0.0)


def test_a_flight_that_was_asked_about_often_weighs_as_much_as_one_asked_about_once(store: Store) -> None:
    contract = load_contract(REPOSITORY / "configs" / "workloads", "apogee")
    samples, _ = fly(1)
    for number, stop in enumerate((60, 65, 70, 75)):
        flight = "once" if number == 0 else "often"
        body = orjson.dumps(instance_of(contract, samples[:stop], flight))
        store.write_predictions([row(number)._replace(entity=flight, payload=body.decode())])
        store.write_truths("apogee", [Truth(str(number), {"apogee_m": 900.0})])
    journal = store.journal("apogee_m")
    query = journal.newest("apogee", contract.schema_version, 100)
    data = read_journal(contract, load_workload(contract), journal, query).dataset
    assert data.weight.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert data.end_s.tolist() == samples[[59, 64, 69, 74], 0].tolist()


def table(rows: int, first: int = 0, entities: int | None = None, name: str = "a") -> Dataset:
    number = np.arange(first, first + rows, dtype=np.float64)
    group = np.arange(rows) if entities is None else np.arange(rows) % entities
    return Dataset(number[:, None], number, np.ones(rows), group, number, number[:, None], name)


def test_the_newest_pairs_are_for_the_test_and_the_older_ones_are_partitioned() -> None:
    splits = split_journal(table(400), 0.25, whole_entities=False)
    assert splits.test.target.min() == 300
    assert len(splits.test.target) == 100
    assert [len(vars(splits)[part].target) for part in ("train", "valid", "calibrate")] == [176, 36, 88]
    targets = np.concatenate([part.target for part in vars(splits).values()])
    assert sorted(targets) == list(range(400))


def test_an_entity_is_in_one_part() -> None:
    pairs = table(400, entities=50)
    splits = split_journal(pairs, 0.25, whole_entities=True)
    parts = [set((part.target % 50).astype(int)) for part in vars(splits).values()]
    assert sum(map(len, parts)) == 50 == len(set().union(*parts))
    assert parts[3] == set(range(37, 50))


def test_the_journal_has_its_share_of_the_weight() -> None:
    source = Splits(*(table(1000, name="s") for _ in range(4)))
    journal = split_journal(table(100, first=5000, name="j"), 0.25, whole_entities=False)
    splits = mix(source, journal, 0.8)
    recent = splits.train.target >= 5000
    assert splits.train.weight[recent].sum() / splits.train.weight.sum() == pytest.approx(0.8)
    assert splits.train.weight.mean() == pytest.approx(1)
    assert splits.test.target.min() == 5075
    # too few pairs to set bands on alone
    assert len(splits.calibrate.target) == 1000 + len(journal.calibrate.target)
    assert splits.train.data_hash not in ("s", "j")
    assert splits.train.data_hash == splits.valid.data_hash


def parts(train: Dataset, calibrate: Dataset) -> Splits:
    return Splits(train=train, valid=train, calibrate=calibrate, test=table(1))


@pytest.mark.parametrize(("source", "journal"), [(0, 3), (3, 0)])
def test_a_part_without_rows_leaves_all_the_weight_to_the_other(source: int, journal: int) -> None:
    splits = mix(parts(table(source), table(1)), parts(table(journal), table(1)), 0.8)
    assert splits.train.weight.tolist() == splits.valid.weight.tolist() == [1.0] * 3


@pytest.mark.parametrize(("pairs", "rows"), [(99, 99 + 7), (100, 100)])
def test_a_hundred_pairs_are_enough_to_set_bands_on(pairs: int, rows: int) -> None:
    splits = mix(parts(table(1), table(7)), parts(table(1), table(pairs)), 0.8)
    assert len(splits.calibrate.target) == rows


def test_an_entity_is_as_old_as_its_first_pair() -> None:
    """They are numbered in another order than that in which they appeared."""
    pairs = replace(table(8), group=np.array([3, 3, 1, 0, 0, 2, 3, 1]))
    splits = split_journal(pairs, 0.25, whole_entities=True)
    assert splits.test.target.tolist() == [5.0]


def test_entities_of_two_tables_stay_apart() -> None:
    both = joined([table(4, entities=2), table(4, entities=2)])
    assert both.group.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
