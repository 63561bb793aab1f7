"""Ids that callers give: what one router replica knows of them, and what it asks the store."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from deployments.domain.errors import IdInUse
from deployments.inference.sent_ids import SentIds
from deployments.store import PredictionRecord, StoreUnavailable
from tests.support.records import row


class FakeStore:
    """Instances by id; may be away, or answer only when told."""

    def __init__(self, payloads: Mapping[str, str] | None = None) -> None:
        self.rows = dict(payloads or {})
        self.asked: list[list[str]] = []
        self.is_away = False
        self.answers = threading.Event()
        self.answers.set()

    def payloads(self, workload: str, ids: Sequence[str]) -> dict[str, str]:
        assert workload == "apogee"
        self.asked.append(sorted(ids))
        self.answers.wait(10)
        if self.is_away:
            raise StoreUnavailable("away")
        return {id_: self.rows[id_] for id_ in ids if id_ in self.rows}


class Waiting(dict[str, PredictionRecord]):
    def put(self, id_: str, payload: str) -> None:
        self[id_] = row(1)._replace(id=id_, payload=payload)


def ids_over(store: FakeStore, waiting: Waiting | None = None, **more: float) -> SentIds:
    return SentIds("apogee", (waiting or Waiting()).get, store.payloads, deadline_s=more.get("deadline_s", 5))


@pytest.mark.parametrize("place", ["held", "waiting", "store"])
async def test_an_id_of_another_instance_is_refused_wherever_it_is(place: str) -> None:
    store, waiting = FakeStore({"1": '{"a": 1}'} if place == "store" else {}), Waiting()
    if place == "waiting":
        waiting.put("1", '{"a": 1}')
    ids = ids_over(store, waiting)
    if place == "held":
        await ids.claim({"1": b'{"a": 1}'})
    with pytest.raises(IdInUse, match="id: '1' was sent before with another instance"):
        await ids.claim({"0": b"{}", "1": b'{"a": 2}'})
    await ids.claim({"1": b'{"a":1.0}'})
    # the refused ones hold nothing
    await ids.claim({"0": b'{"a": 7}'})


async def test_an_id_is_free_again_where_no_answer_came() -> None:
    ids = ids_over(FakeStore())
    ids.release(await ids.claim({"1": b'{"a": 1}'}))
    await ids.claim({"1": b'{"a": 2}'})


async def test_a_retry_that_ends_first_gives_up_no_id_of_another_request() -> None:
    ids = ids_over(FakeStore())
    await ids.claim({"1": b'{"a": 1}'})
    ids.release(await ids.claim({"1": b'{"a": 1}'}))
    with pytest.raises(IdInUse):
        await ids.claim({"1": b'{"a": 2}'})


async def test_two_equal_requests_at_once_are_both_refused() -> None:
    ids = ids_over(FakeStore({"1": '{"a": 1}'}))
    claims = (ids.claim({"1": b'{"a": 2}'}) for _ in range(2))
    found = await asyncio.gather(*claims, return_exceptions=True)
    assert [type(one) for one in found] == [IdInUse, IdInUse]


async def test_what_this_replica_knows_is_not_asked_for() -> None:
    store, waiting = FakeStore(), Waiting()
    waiting.put("1", "{}")
    await ids_over(store, waiting).claim({"1": b"{}"})
    await ids_over(store).claim({})
    assert store.asked == []


async def test_a_second_request_waits_for_no_store_to_find_the_first() -> None:
    store = FakeStore()
    store.answers.clear()
    ids = ids_over(store)
    first = asyncio.create_task(ids.claim({"1": b'{"a": 1}'}))
    await asyncio.sleep(0)
    with pytest.raises(IdInUse):
        await ids.claim({"1": b'{"a": 2}'})
    store.answers.set()
    assert await first == {"1"}


async def test_single_instances_of_one_moment_are_looked_up_together() -> None:
    store = FakeStore({"3": '{"a": 1}'})
    ids = ids_over(store)
    claims = (ids.claim({str(number): b"{}"}) for number in range(40))
    found = await asyncio.gather(*claims, return_exceptions=True)
    assert [number for number, one in enumerate(found) if isinstance(one, IdInUse)] == [3]
    assert store.asked == [sorted(map(str, range(40)))]


@pytest.mark.parametrize("sent", [{"1": b'{"a": 2}'}, {"1": b'{"a": 2}', "2": b"{}"}])
async def test_a_store_that_is_away_refuses_nothing_and_is_left_alone_for_a_while(
    sent: dict[str, bytes],
) -> None:
    store, clock = FakeStore({"1": '{"a": 1}'}), iter((0.0, 0.0, 4.9, 5.1))
    store.is_away = True
    ids = SentIds("apogee", Waiting().get, store.payloads, clock=lambda: next(clock))
    ids.release(await ids.claim(sent))
    store.is_away = False
    ids.release(await ids.claim(sent))
    assert len(store.asked) == 1
    with pytest.raises(IdInUse):
        await ids.claim(sent)


async def test_a_store_that_does_not_answer_holds_no_request_up() -> None:
    store = FakeStore()
    store.answers.clear()
    ids = ids_over(store, deadline_s=0.01)
    assert await ids.claim({"1": b"{}"}) == {"1"}
    store.answers.set()


async def test_a_caller_that_leaves_gives_its_ids_up() -> None:
    store = FakeStore()
    store.answers.clear()
    ids = ids_over(store)
    claim = asyncio.create_task(ids.claim({"1": b'{"a": 1}'}))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)
    store.answers.set()
    await ids.claim({"1": b'{"a": 2}'})
