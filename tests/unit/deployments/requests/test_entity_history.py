"""Kept samples: bounded, in the order in which they came, and there when the store is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.domain.samples import Samples, complete_samples, leading_samples, merge_samples
from deployments.requests.entity_history import DEADLINE_S, EntityHistory, history_in_store
from deployments.store import Store, StoreUnavailable
from features.contract import Contract
from features.windows import cut_window, cut_windows
from tests.support.models import apogee_contract
from tests.support.reentry import reentry_contract

CONTRACT = reentry_contract()


def rows(*times: float) -> Samples:
    return [[time_s, 10.0, 20.0, 5e4, None] for time_s in times]


def times_of(samples: Samples) -> list[float | None]:
    return [row[0] for row in samples]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url)) as opened:
        yield opened


def exchange(store: Store, *items: tuple[str, Samples], entities: int = 100) -> list[list[float | None]]:
    found = store.exchange_samples("reentry", items, time_column=0, most_samples=4, most_entities=entities)
    return [times_of(samples) for samples in found]


def test_the_first_of_two_at_one_time_stands_and_the_last_arrivals_stay() -> None:
    kept = merge_samples(rows(1, 2, 9), [[2.0, 0.0, 0.0, 0.0, None], *rows(3, 4)], 0, 4)
    assert times_of(kept) == [2, 9, 3, 4]
    assert kept[0][1] == 10.0


def test_what_leads_up_to_a_sample_has_no_gap() -> None:
    kept = rows(100, 230, 170, 900, 290)
    assert leading_samples(kept, 300, 0, 60, 5)[:, 0].tolist() == [170, 230, 290]
    assert leading_samples(kept, 351, 0, 60, 5).shape == (0, 5)
    assert leading_samples([], 1, 0, 60, 5).shape == (0, 5)
    assert np.isnan(leading_samples(kept, 300, 0, 60, 5)[:, 4]).all()


def test_the_store_keeps_so_many_samples_of_so_many_entities(store: Store) -> None:
    assert exchange(store, ("a", rows(1, 2)), ("b", rows(1)), ("a", rows(3, 4, 5))) == [[], [], [1, 2]]
    assert exchange(store, ("a", rows(6))) == [[2, 3, 4, 5]]
    assert exchange(store, ("c", rows(1)), ("a", []), entities=2) == [[], [3, 4, 5, 6]]
    assert exchange(store, ("b", []), ("a", []), ("c", [])) == [[], [3, 4, 5, 6], [1]]
    assert store.exchange_samples("other", [("a", [])], time_column=0, most_samples=1, most_entities=1) == [
        []
    ]


async def test_a_replica_without_a_store_goes_on_with_what_it_has_seen() -> None:
    def away(items: object) -> list[Samples]:
        raise StoreUnavailable("away")

    history = EntityHistory(CONTRACT, away, max_entities=2)
    for time_s in (1.0, 2.0, 3.0):
        earlier = await history.exchange("a", np.array(rows(time_s), dtype=float))
    assert earlier[:, 0].tolist() == [1, 2]
    for entity in "bc":
        await history.exchange(entity, np.array(rows(1), dtype=float))
    assert len(await history.exchange("a", np.array(rows(4), dtype=float))) == 0


async def test_what_a_replica_keeps_by_itself_is_logged_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    def away(items: object) -> list[Samples]:
        raise StoreUnavailable("away")

    assert CONTRACT.window is not None
    most = CONTRACT.window.kept_samples
    history = EntityHistory(CONTRACT, away)
    await history.exchange("a", np.array(rows(*range(most + 3)), dtype=float))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("samples are kept by this replica only: StoreUnavailable('away'")
    assert vars(record)["workload"] == "reentry"
    earlier = await history.exchange("a", np.array(rows(most + 3), dtype=float))
    assert earlier[:, 0].tolist() == list(range(3, most + 3))


async def test_the_store_gets_the_last_samples_and_those_used_last_stay() -> None:
    calls: list[tuple[str, list[float | None]]] = []

    def keep(items: Sequence[tuple[str, Samples]]) -> list[Samples]:
        calls.extend((entity, times_of(samples)) for entity, samples in items)
        if len(calls) > 4:
            raise StoreUnavailable("away")
        return [rows(1) for _ in items]

    assert CONTRACT.window is not None
    most = CONTRACT.window.kept_samples
    history = EntityHistory(CONTRACT, keep, max_entities=2)
    await history.exchange("a", np.array(rows(*range(most + 2)), dtype=float))
    assert calls == [("a", list(range(2, most + 2)))]
    for entity in "bac":
        await history.exchange(entity, np.array(rows(50), dtype=float))
    found = [len(await history.exchange(entity, np.array(rows(60), dtype=float))) for entity in "ab"]
    assert found[0] > 0
    assert found[1] == 0


def test_a_workload_keeps_samples_in_the_store_if_it_says_so() -> None:
    apogee = apogee_contract()
    assert history_in_store(apogee, lambda *_, **__: []) is None
    assert history_in_store(apogee.model_copy(update={"window": None}), lambda *_, **__: []) is None


async def test_how_many_samples_and_entities_the_store_is_asked_to_keep() -> None:
    asked: list[tuple[object, ...]] = []

    def exchange_samples(workload: str, items: Sequence[object], **limits: int) -> list[Samples]:
        asked.append((workload, len(items), limits))
        return [[] for _ in items]

    contract = _keeping(apogee_contract())
    history = history_in_store(contract, exchange_samples)
    assert history is not None
    assert contract.window is not None
    await history.exchange("a", np.full((1, len(contract.fields)), 1.0))
    limits = {"time_column": 0, "most_samples": 4 * 50, "most_entities": 10_000}
    assert asked == [("apogee", 1, limits)]
    assert DEADLINE_S == 1.0


async def test_a_slow_store_does_not_hold_an_answer_up() -> None:
    released = threading.Event()

    def slow(items: Sequence[tuple[str, Samples]]) -> list[Samples]:
        released.wait(60)
        return [rows(1) for _ in items]

    history = EntityHistory(CONTRACT, slow, deadline_s=0.01)
    assert len(await history.exchange("a", np.array(rows(2), dtype=float))) == 0
    released.set()
    patient = EntityHistory(CONTRACT, slow, deadline_s=60.0)
    assert len(await patient.exchange("a", np.array(rows(2), dtype=float))) == 1


async def test_concurrent_points_are_kept_in_one_transaction(store: Store) -> None:
    calls = []

    def counted(items: Sequence[tuple[str, Samples]]) -> Sequence[Samples]:
        calls.append(len(items))
        return store.exchange_samples("reentry", items, time_column=0, most_samples=20, most_entities=9)

    history = EntityHistory(CONTRACT, counted)
    found = await asyncio.gather(*(history.exchange("a", np.array(rows(t), dtype=float)) for t in range(8)))
    assert [len(earlier) for earlier in found] == list(range(8))
    assert calls == [8]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=30), st.booleans())
def test_a_track_in_pieces_gives_the_windows_of_the_whole(seed: int, sizes: list[int], on_grid: bool) -> None:
    """As a stream would cut them at the last sample of each piece, with gaps and at any spacing."""
    contract = _keeping(apogee_contract()) if on_grid else CONTRACT
    generator = np.random.default_rng(seed)
    count, spec = sum(sizes), contract.window
    assert spec is not None
    steps = generator.uniform(0.5, 1.0 if on_grid else 10.0, count)
    steps[generator.random(count) < 0.03] = 100
    samples = np.full((count, len(contract.fields)), np.nan)
    samples[:, :4] = generator.uniform(0, 80, (count, 4))
    samples[:, 0] = np.cumsum(steps)
    kept: Samples = []
    whole = {window.end_s: window.values for window in cut_windows(contract, samples.tolist())}
    stop = 0
    for size in sizes:
        piece, stop = samples[stop : stop + size], stop + size
        earlier = leading_samples(kept, piece[0, 0], 0, spec.max_gap_s, samples.shape[1])
        kept = merge_samples(kept, [list(row) for row in piece.tolist()], 0, spec.kept_samples)
        if piece[-1, 0] in whole:
            found = cut_window(contract, complete_samples(contract, earlier, piece))
            np.testing.assert_array_equal(found.values, whole[piece[-1, 0]])


def _keeping(contract: Contract) -> Contract:
    assert contract.window is not None
    window = contract.window.model_copy(update={"keep_history": True})
    return contract.model_copy(update={"window": window})
