"""A stream against a real service, on a clock that runs as fast as it is asked to."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from rich.console import Console
from toy.parts import toy_contract, toy_parts, toy_raw

from deployments.store import FeedbackCounts, Truth
from scripts.replay.client import Connection, Prediction, WorkloadClient
from scripts.replay.player import Failure
from scripts.replay.recordings import Case, Recording, make_cases
from scripts.replay.stream import Stream, cases_in_order, play_stream
from scripts.replay.stream_player import SentRequest, StreamPlayer
from scripts.replay.stream_schedule import Bursts, Schedule, Steady
from scripts.replay.stream_summary import stream_table, write_stream
from tests.support.serving import ARMS, LocalSystem
from training.runtime.tasks.base import ArmAnswer

CONTRACT = toy_contract()


class FastClock:
    """Sleeping moves it on at once."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 1e-6)  # so that rounding never stops it
        await asyncio.sleep(0)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path, lambda arm, number: toy_parts(number)) as system:
        yield system


def cases(rows: int) -> list[Case]:
    raw = toy_raw(rows)
    one = Recording("thing", "", raw, np.arange(float(rows)), raw[:, 0] * raw[:, 1])
    return make_cases(CONTRACT, one)


def truths(system: LocalSystem) -> dict[str, float]:
    joined = system.store.joined("toy", limit=10_000)
    return {row.prediction.id: row.truth["area_m2"] for row in joined}


async def stream(
    system: LocalSystem, schedule: Schedule, rows: int, **options: Any
) -> tuple[StreamPlayer, FastClock]:
    clock = FastClock()
    async with system.client() as client:
        player = StreamPlayer(CONTRACT, client, schedule, sleep=clock.sleep, clock=clock, **options)
        await player.play(cases(rows))
    return player, clock


async def test_every_request_is_answered_and_its_truth_comes_later(system: LocalSystem) -> None:
    player, clock = await stream(system, Schedule(Bursts(20, 1, 4), 30, 45), 45)
    sent = player.streamed.sent
    assert sorted(one.number for one in sent) == list(range(45))
    assert all(isinstance(one.outcome, Prediction) for one in sent)
    assert truths(system) == {one.outcome.id: float(one.case.target) for one in sent}  # type: ignore[union-attr]
    assert player.streamed.feedback.accepted == 45
    # the last request is due in the third burst, and its truth 30 s later; the clock runs on beside
    assert clock.now_s - 50 >= 10 + 4 / 20 + 30 - 0.2


async def test_truths_go_one_by_one_if_asked(system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    write = system.stack.writers.truths.write

    async def counted(truths: Sequence[Truth]) -> FeedbackCounts:
        calls.append(len(truths))
        return await write(truths)

    monkeypatch.setattr(system.stack.writers.truths, "write", counted)
    player, _ = await stream(system, Schedule(Steady(500), 1, 30), 30, single_truths=True)
    assert calls == [1] * 30
    assert player.streamed.feedback.accepted == len(truths(system)) == 30
    assert set(player.streamed.truths_taken) == truths(system).keys()


async def test_cases_are_played_again_when_they_are_used_up(system: LocalSystem) -> None:
    player, _ = await stream(system, Schedule(Steady(50), 0, 10), 4)
    played = sorted((one.number, one.case.end_s) for one in player.streamed.sent)
    assert [end_s for _, end_s in played] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert len({one.outcome.id for one in player.streamed.sent}) == 10  # type: ignore[union-attr]


async def test_the_system_chooses_the_arm_unless_one_is_named(system: LocalSystem) -> None:
    player, _ = await stream(system, Schedule(Steady(100), 0, 5), 5, arm="linear")
    assert {one.outcome.arm for one in player.streamed.sent} == {"linear"}
    assert all(row.named for _, row in system.store.predictions("toy"))
    await stream(system, Schedule(Steady(100), 0, 5), 5)
    assert [row.named for _, row in system.store.predictions("toy")].count(False) == 5


async def test_failures_are_counted_and_have_no_truth(system: LocalSystem) -> None:
    system.downstream.down = set(ARMS)
    player, _ = await stream(system, Schedule(Steady(100), 1, 6), 6)
    outcomes = [one.outcome for one in player.streamed.sent]
    assert [one.status for one in outcomes if isinstance(one, Failure)] == [503] * 6
    assert system.store.counts("toy").predictions == 0
    assert player.streamed.feedback.accepted == 0


async def test_a_stopped_stream_ends_without_waiting_for_its_truths(system: LocalSystem) -> None:
    schedule = Schedule(Steady(10), 300, 1_000_000)

    def stop_after_some(ended: int, waiting: int) -> None:
        if ended >= 3:
            schedule.stop()

    player, clock = await stream(system, schedule, 5, on_progress=stop_after_some)
    answered = len(player.streamed.sent)
    assert 3 <= answered < 1000
    assert (truths(system), schedule.dropped_truths) == ({}, answered)
    assert clock.now_s - 50 < 300


async def test_requests_do_not_wait_for_answers_and_latency_counts_from_when_they_were_due() -> None:
    open_now, most_open, clock = 0, 0, FastClock()
    release = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal open_now, most_open
        open_now += 1
        most_open = max(most_open, open_now)
        if open_now == 4:
            release.set()
        await release.wait()
        open_now -= 1
        return httpx.Response(503, json={"detail": "busy"})

    connection = Connection("http://system", None)
    async with connection.open(transport=httpx.MockTransport(answer)) as http:
        client = WorkloadClient(http, "toy", toy_contract().target)
        schedule = Schedule(Steady(10), 0, 8)
        player = StreamPlayer(CONTRACT, client, schedule, most_open=4, sleep=clock.sleep, clock=clock)
        streamed = await player.play(cases(2))
    assert most_open == 4
    first = next(one for one in streamed.sent if one.number == 0)
    # answered when the fourth came, which was due 0.3 s after the first
    assert first.latency_s == pytest.approx(0.3, abs=0.11)


async def test_a_stream_is_shown_written_and_scored(system: LocalSystem, tmp_path: Path) -> None:
    raw = toy_raw(6)
    recordings = [Recording("thing", "", raw, np.arange(6.0), raw[:, 0] * raw[:, 1])]
    console = Console(record=True, file=io.StringIO(), width=100)
    await system.stack.follower.poll()
    options = (console, CONTRACT, system.connection, recordings)
    assert await play_stream(*options, Stream(Steady(200), 0, None, None, "mlp"), tmp_path / "out")
    shown = console.export_text()
    assert "6 requests in" in shown
    assert "truths: 6 accepted, 0 duplicate, 0 unmatched" in shown
    assert len((tmp_path / "out" / "stream.csv").read_text().splitlines()) == 7
    system.downstream.down = set(ARMS)
    assert not await play_stream(*options, Stream(Steady(200), 0, 3, None, None), tmp_path / "out")
    assert "failed 3 x thing: 503" in console.export_text()
    with pytest.raises(ValueError, match=r"--arm: got 'best', expected one of \['linear', 'mlp'"):
        await play_stream(*options, Stream(Steady(200), 0, 3, None, "best"), tmp_path / "out")
    await system.stack.close()


def sent(number: int, arm: str | None, latency_s: float) -> SentRequest:
    (case,) = cases(1)
    outcome: Prediction | Failure = Failure(case, "", 503, "no answer now")
    if arm:
        row = ArmAnswer({"area_m2": float(case.target) + 2}, {"area_m2": [0.0, 99.0]}, 0.9)
        outcome = Prediction(f"id-{number}", row, arm, "1", "sha256:0", False)
    return SentRequest(number, case, 0.1 * number, 0.1 * number + 0.01, 0.1 * number + latency_s, outcome)


def test_the_summary_has_rates_errors_and_latencies_by_arm() -> None:
    stream_of = [sent(n, "mlp", 0.1) for n in range(8)] + [sent(8, None, 5.0), sent(9, "linear", 0.1)]
    table = stream_table(CONTRACT, stream_of)
    assert table.title == "10 requests in 5.8 s, latencies in ms"
    head = ("", "requests", "per s", "errors", "p50", "p95", "p99", "mae")
    assert table.header == head
    assert table.rows == (
        ("linear", "1", "0.172", "0 %", "100", "100", "100", "2"),
        ("mlp", "8", "1.38", "0 %", "100", "100", "100", "2"),
        ("no answer", "1", "0.172", "100 %", "-", "-", "-", "-"),
        ("all", "10", "1.72", "10 %", "100", "100", "100", "2"),
    )
    assert stream_table(CONTRACT, []).rows[0][:4] == ("all", "0", "-", "-")


def test_the_file_has_a_row_a_request(tmp_path: Path) -> None:
    write_stream(tmp_path / "stream.csv", CONTRACT, [sent(1, None, 0.5), sent(0, "mlp", 0.25)])
    first, second = csv.DictReader((tmp_path / "stream.csv").read_text().splitlines())
    assert (first["request"], first["arm"], first["latency_ms"]) == ("0", "mlp", "250.00")
    assert (second["status"], second["prediction_id"], second["latency_ms"]) == ("503", "", "500.00")


def test_windows_of_several_recordings_go_in_the_order_of_time(apogee: Any) -> None:
    recordings = []
    for entity, start_s in (("late", 1.0), ("early", 0.0)):
        times = np.arange(start_s, start_s + 4, 0.05)
        rows = np.full((len(times), len(apogee.fields)), np.nan)
        rows[:, 0], rows[:, 1] = times, 10 * times
        recordings.append(Recording(entity, "", rows, times, np.full(len(times), 90.0)))
    found = cases_in_order(apogee, recordings)
    assert [case.end_s for case in found] == sorted(case.end_s for case in found)
    assert {case.recording.entity for case in found[:3]} == {"early"}
    with pytest.raises(ValueError, match="none of 0 recordings has a case"):
        cases_in_order(apogee, [])


def test_without_a_limit_each_case_goes_once_or_for_the_duration() -> None:
    def requests(limit: int | None, duration_s: float | None) -> int:
        schedule = Stream(Steady(10), 0, limit, duration_s, None).schedule(7)
        return len(schedule.take(1e6).requests)

    assert requests(None, None) == 7
    assert requests(None, 2) == 20
    assert requests(5, None) == 5
    assert requests(50, 2) == 20
