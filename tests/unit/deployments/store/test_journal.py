import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from deployments.store import JournalWriter, PredictionRecord, StoreUnavailable
from tests.support.conditions import Pauses, wait_for
from tests.support.records import row


class Sink:
    """Takes rows by id; fails as it is told."""

    def __init__(self, away_for: int = 0, lost_answers: int = 0, refuses: Sequence[str] = ()) -> None:
        self.rows: dict[str, PredictionRecord] = {}
        self.batches: list[int] = []
        self.away_for = away_for
        self.lost_answers = lost_answers
        self.refuses = refuses
        self.threads: set[int] = set()

    def write_predictions(self, rows: Sequence[PredictionRecord]) -> None:
        self.threads.add(threading.get_ident())
        self.batches.append(len(rows))
        if self.away_for:
            self.away_for -= 1
            raise StoreUnavailable("locked")
        if bad := [one.id for one in rows if one.id in self.refuses]:
            raise TypeError(f"not JSON: {bad}")
        for one in rows:
            self.rows.setdefault(one.id, one)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnavailable("connection lost after the commit")


async def test_rows_gather_for_one_interval_and_go_in_one_batch_from_a_thread() -> None:
    sink, pauses = Sink(), Pauses()
    journal = JournalWriter(sink.write_predictions, flush_interval_s=0.2, sleep=pauses)
    for number in range(5):
        journal.add([row(number)])
    assert (sink.batches, journal.waiting) == ([], 5)
    await wait_for(lambda: journal.waiting == 0)
    assert (sink.batches, journal.waiting, journal.written) == ([5], 0, 5)
    assert pauses.seconds == [0.2]
    assert threading.get_ident() not in sink.threads


async def test_flush_writes_what_was_added_in_batches() -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions, max_batch=4)
    for number in range(10):
        journal.add([row(number)])
    await journal.flush()
    assert sink.batches == [4, 4, 2]
    assert list(sink.rows) == [str(n) for n in range(10)]
    await journal.close()


async def test_rows_are_flushed_for_the_sake_of_those_that_wait_alone() -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions)
    journal.add([row(1)])
    await journal.flush_those({"2", "3"})
    assert sink.batches == []
    journal.add([row(2)])
    await journal.flush_those({"2", "3"})
    assert sink.batches == [2]
    await journal.close()


async def test_a_batch_that_fails_is_written_again_after_growing_pauses() -> None:
    sink, pauses = Sink(away_for=4), Pauses()
    journal = JournalWriter(
        sink.write_predictions, flush_interval_s=60, backoff_s=0.1, max_backoff_s=0.5, sleep=pauses
    )
    journal.add([row(1)])
    await journal.flush()
    assert [seconds for seconds in pauses.seconds if seconds < 60] == [0.1, 0.2, 0.4, 0.5]
    assert sink.batches == [1] * 5
    assert (list(sink.rows), journal.written, journal.dropped) == (["1"], 1, 0)
    await journal.close()


async def test_a_commit_whose_answer_was_lost_does_no_harm() -> None:
    sink = Sink(lost_answers=1)
    journal = JournalWriter(sink.write_predictions, sleep=Pauses())
    journal.add([row(1)])
    journal.add([row(2)])
    await journal.flush()
    assert sink.batches == [2, 2]
    assert (list(sink.rows), journal.written) == (["1", "2"], 2)
    await journal.close()


async def test_a_row_that_the_store_cannot_take_goes_alone(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink(refuses=["3"])
    journal = JournalWriter(sink.write_predictions, max_batch=4, sleep=Pauses())
    for number in range(6):
        journal.add([row(number)])
    await journal.flush()
    assert list(sink.rows) == ["0", "1", "2", "4", "5"]
    assert sink.batches == [4, 1, 1, 1, 1, 2]
    assert (journal.written, journal.dropped, journal.waiting) == (5, 1, 0)
    assert "the store cannot take 3: TypeError" in caplog.text
    await journal.close()


async def test_a_full_buffer_drops_the_newest_counts_them_and_keeps_the_log_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions, max_buffer=3)
    for number in range(13):
        journal.add([row(number)])
    assert (journal.waiting, journal.dropped) == (3, 10)
    assert [r.levelno for r in caplog.records] == [logging.ERROR] * 4  # the 1st, 2nd, 4th and 8th
    await journal.flush()
    assert list(sink.rows) == ["0", "1", "2"]
    await journal.close()


async def test_close_gives_up_when_the_store_stays_away(caplog: pytest.LogCaptureFixture) -> None:
    journal = JournalWriter(Sink(away_for=10**9).write_predictions, sleep=Pauses())
    journal.add([row(1)])
    await journal.close(timeout_s=0.05)
    assert (journal.waiting, journal.dropped) == (0, 1)
    assert "1 predictions are lost" in caplog.text


async def test_rows_added_while_others_are_written_are_written_next() -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions, sleep=Pauses())

    async def producer() -> None:
        for number in range(200):
            journal.add([row(number)])
            if number % 7 == 0:
                await asyncio.sleep(0)

    await asyncio.gather(producer(), producer())
    await journal.flush()
    assert set(sink.rows) == {str(n) for n in range(200)}
    assert journal.written == 400
    await journal.close()


async def test_of_many_rows_those_that_fit_are_taken() -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions, max_buffer=3)
    journal.add([row(number) for number in range(5)])
    assert (journal.waiting, journal.dropped) == (3, 2)
    await journal.close()
    assert list(sink.rows) == ["0", "1", "2"]


async def test_whoever_adds_many_waits_until_few_enough_wait() -> None:
    sink = Sink()
    journal = JournalWriter(sink.write_predictions, full_enough=25, max_batch=10, flush_interval_s=60)
    journal.add([row(number) for number in range(60)])
    await journal.make_room()
    assert (journal.waiting, sum(sink.batches)) == (20, 40)
    await journal.make_room()
    assert journal.waiting == 20
    await journal.close()


async def test_nobody_waits_for_a_store_that_is_away() -> None:
    sink = Sink(away_for=10**9)
    journal = JournalWriter(sink.write_predictions, full_enough=25, sleep=Pauses())
    journal.add([row(number) for number in range(60)])
    await journal.make_room()
    await journal.make_room()
    assert sink.batches == [60]
    await journal.close(timeout_s=0.05)


async def test_after_an_outage_all_is_as_before_it() -> None:
    """The next one begins with the first pause, and whoever adds many is held back again."""
    sink, pauses = Sink(away_for=3), Pauses()
    journal = JournalWriter(
        sink.write_predictions, full_enough=25, max_batch=10, flush_interval_s=60, backoff_s=0.1, sleep=pauses
    )
    journal.add([row(1)])
    await journal.flush()
    sink.away_for = 2
    journal.add([row(2)])
    await journal.flush()
    assert [seconds for seconds in pauses.seconds if seconds < 60] == [0.1, 0.2, 0.4, 0.1, 0.2]
    sink.batches.clear()
    journal.add([row(number) for number in range(100, 160)])
    await journal.make_room()
    assert sink.batches == [10] * 4
    await journal.close()


async def test_a_row_that_cannot_be_written_ends_an_outage_too() -> None:
    sink, pauses = Sink(away_for=1, refuses=["1"]), Pauses()
    journal = JournalWriter(sink.write_predictions, flush_interval_s=60, backoff_s=0.1, sleep=pauses)
    journal.add([row(1)])
    await journal.flush()
    sink.away_for = 1
    journal.add([row(2)])
    await journal.flush()
    assert [seconds for seconds in pauses.seconds if seconds < 60] == [0.1, 0.1]
    assert (journal.written, journal.dropped) == (1, 1)
    await journal.close()
