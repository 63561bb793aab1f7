import asyncio
import threading
from collections.abc import Collection, Sequence

import pytest

from deployments.domain.errors import Overloaded
from deployments.inference.recording.truth_writer import TruthWriter
from deployments.store import FeedbackCounts, StoreUnavailable, Truth
from tests.support.conditions import Pauses, wait_for


class Sink:
    """Takes truths while `gate` is open; the first of an id is unmatched, any other a duplicate."""

    def __init__(self, away_for: int = 0, refuses: Collection[str] = ()) -> None:
        self.groups: list[list[list[str]]] = []
        self.first: dict[str, object] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.away_for = away_for
        self.refuses = refuses
        self.threads: set[int] = set()

    def write_truth_calls(self, workload: str, calls: Sequence[Sequence[Truth]]) -> list[FeedbackCounts]:
        assert workload == "apogee"
        self.threads.add(threading.get_ident())
        self.groups.append([[truth.id for truth in call] for call in calls])
        assert self.gate.wait(10)
        if self.away_for:
            self.away_for -= 1
            raise StoreUnavailable("locked")
        if bad := [truth.id for call in calls for truth in call if truth.id in self.refuses]:
            raise TypeError(f"not JSON: {bad}")
        return [self._counts(call) for call in calls]

    def _counts(self, call: Sequence[Truth]) -> FeedbackCounts:
        new = [truth for truth in call if self.first.setdefault(truth.id, truth) is truth]
        conflicts = sum(self.first[truth.id] != truth for truth in call)
        return FeedbackCounts(0, len(call) - len(new), len(new), conflicts)


class Journal:
    """Remembers what was to be flushed; never ends when `stuck`."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.looked_up: list[set[str]] = []
        self.stuck = stuck

    async def flush_those(self, ids: Collection[str]) -> None:
        self.looked_up.append(set(ids))
        if self.stuck:
            await asyncio.Event().wait()


def call(*ids: str, value: float = 1.0) -> list[Truth]:
    return [Truth(id_, {"apogee_m": value}) for id_ in ids]


def submit(writer: TruthWriter, *calls: list[Truth]) -> list[asyncio.Task[FeedbackCounts]]:
    return [asyncio.create_task(writer.write(truths)) for truths in calls]


async def under_way(sink: Sink, groups: int) -> None:
    await wait_for(lambda: len(sink.groups) >= groups)


async def test_a_call_alone_is_written_at_once_in_a_thread() -> None:
    sink, pauses = Sink(), Pauses()
    writer = TruthWriter("apogee", sink, Journal().flush_those, rest_s=0.02, sleep=pauses)
    assert await writer.write(call("1", "2", "1")) == FeedbackCounts(0, 1, 2)
    assert threading.get_ident() not in sink.threads
    await writer.close()
    assert pauses.seconds == [0.02]


async def test_calls_that_come_during_a_write_go_together_after_one_flush() -> None:
    sink, journal = Sink(), Journal()
    writer = TruthWriter("apogee", sink, journal.flush_those, sleep=Pauses())
    sink.gate.clear()
    tasks = submit(writer, call("1"))
    await under_way(sink, 1)
    tasks += submit(writer, call("2"), call("1", value=2.0), call("2", "3"))
    await asyncio.sleep(0)
    sink.gate.set()
    counts = await asyncio.gather(*tasks)
    assert sink.groups == [[["1"]], [["2"], ["1"], ["2", "3"]]]
    assert journal.looked_up == [{"1"}, {"1", "2", "3"}]
    assert counts == [
        FeedbackCounts(0, 0, 1),
        FeedbackCounts(0, 0, 1),
        FeedbackCounts(0, 1, 0, conflicting=1),
        FeedbackCounts(0, 1, 1),
    ]
    assert writer.outcomes == {"accepted": 0, "unmatched": 3, "duplicate": 1, "conflicting": 1}
    await writer.close()


async def test_calls_that_come_in_the_rest_after_a_write_go_together() -> None:
    sink = Sink()
    resting, rested = asyncio.Event(), asyncio.Event()

    async def rest(_: float) -> None:
        resting.set()
        await rested.wait()

    writer = TruthWriter("apogee", sink, Journal().flush_those, sleep=rest)
    await writer.write(call("1"))
    await resting.wait()
    tasks = submit(writer, call("2"), call("3"))
    await asyncio.sleep(0)
    assert sink.groups == [[["1"]]]
    rested.set()
    await asyncio.gather(*tasks)
    assert sink.groups == [[["1"]], [["2"], ["3"]]]
    await writer.close()


async def test_a_group_holds_no_more_truths_than_allowed_unless_one_call_has_them() -> None:
    sink = Sink()
    writer = TruthWriter("apogee", sink, Journal().flush_those, max_truths=3, sleep=Pauses())
    await asyncio.gather(*submit(writer, call("1", "2"), call("3"), call("4"), call("5", "6", "7", "8")))
    assert sink.groups == [[["1", "2"], ["3"]], [["4"]], [["5", "6", "7", "8"]]]
    await writer.close()


async def test_a_store_that_is_away_fails_the_calls_of_that_group_alone() -> None:
    sink = Sink(away_for=1)
    writer = TruthWriter("apogee", sink, Journal().flush_those, sleep=Pauses())
    failed = await asyncio.gather(*submit(writer, call("1"), call("2")), return_exceptions=True)
    assert [str(error) for error in failed] == ["locked", "locked"]
    assert await writer.write(call("1")) == FeedbackCounts(0, 0, 1)
    assert sink.groups == [[["1"], ["2"]], [["1"]]]
    await writer.close()


async def test_a_call_that_the_store_cannot_take_takes_no_other_with_it() -> None:
    sink = Sink(refuses=["bad"])
    writer = TruthWriter("apogee", sink, Journal().flush_those, sleep=Pauses())
    tasks = submit(writer, call("1"), call("2", "bad"), call("1"))
    first, bad, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == (FeedbackCounts(0, 0, 1), FeedbackCounts(0, 1, 0))
    assert isinstance(bad, TypeError)
    assert writer.outcomes["unmatched"] == 1
    await writer.close()


async def test_a_caller_that_leaves_is_not_written_and_disturbs_nobody() -> None:
    sink = Sink()
    writer = TruthWriter("apogee", sink, Journal().flush_those, sleep=Pauses())
    sink.gate.clear()
    (first,) = submit(writer, call("1"))
    await under_way(sink, 1)
    leaves, stays = submit(writer, call("2"), call("3"))
    await asyncio.sleep(0)
    first.cancel()  # too late: its truth is being written
    leaves.cancel()
    await asyncio.sleep(0)
    sink.gate.set()
    assert await stays == FeedbackCounts(0, 0, 1)
    assert sink.groups == [[["1"]], [["3"]]]
    assert first.cancelled()
    await writer.close()


async def test_a_flush_that_does_not_end_is_an_error_and_no_hang() -> None:
    sink = Sink()
    writer = TruthWriter("apogee", sink, Journal(stuck=True).flush_those, flush_timeout_s=0.01)
    with pytest.raises(StoreUnavailable, match="does not take the predictions"):
        await writer.write(call("1"))
    assert sink.groups == []
    await writer.close()


async def test_too_many_waiting_calls_are_refused() -> None:
    writer = TruthWriter("apogee", Sink(), Journal().flush_those, max_waiting=2, sleep=Pauses())
    tasks = submit(writer, call("1"), call("2"), call("3"))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in answers] == [FeedbackCounts, FeedbackCounts, Overloaded]
    await writer.close()


async def test_close_answers_all_who_wait() -> None:
    sink = Sink()
    writer = TruthWriter("apogee", sink, Journal().flush_those, max_truths=1, sleep=Pauses())
    tasks = submit(writer, call("1"), call("2"))
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*tasks) == [FeedbackCounts(0, 0, 1)] * 2
    assert sink.groups == [[["1"]], [["2"]]]
