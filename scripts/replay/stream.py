"""Runs a stream against the running system, with a line of progress, until it ends or Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from features.contract import Contract
from scripts.replay.aiohttp_transport import StreamTransport
from scripts.replay.client import Connection, Prediction, WorkloadClient
from scripts.replay.recordings import Case, Recording, make_cases
from scripts.replay.stream_player import StreamPlayer
from scripts.replay.stream_schedule import Pace, Schedule
from scripts.replay.stream_summary import show_stream, write_stream

_MOST_OPEN = 256


@dataclass(frozen=True)
class Stream:
    """The kind of a stream.

    Attributes:
        pace: of the requests.
        truth_delay_s: from a request to its truth.
        limit: most requests; None: each case once, or as many as the duration has room for.
        duration_s: how long requests are sent; None: until there are no more.
        arm: the one to ask; None: the system chooses.
        single_truths: whether each truth is a call of its own.
    """

    pace: Pace
    truth_delay_s: float
    limit: int | None
    duration_s: float | None
    arm: str | None
    single_truths: bool = False

    def schedule(self, cases: int) -> Schedule:
        """Return the schedule of a stream of so many cases."""
        endless = 1 << 62
        requests = self.limit or (cases if self.duration_s is None else endless)
        return Schedule(self.pace, self.truth_delay_s, requests, self.duration_s)


def cases_in_order(contract: Contract, recordings: Sequence[Recording]) -> list[Case]:
    """Every case in the order of time; rows of a table in their own.

    Raises:
        ValueError: there is none.
    """
    cases = [case for recording in recordings for case in make_cases(contract, recording)]
    if not cases:
        raise ValueError(f"none of {len(recordings)} recordings has a case to ask {contract.workload} about")
    return cases if contract.window is None else sorted(cases, key=lambda case: case.end_s)


async def play_stream(
    console: Console,
    contract: Contract,
    connection: Connection,
    recordings: Sequence[Recording],
    stream: Stream,
    out: Path,
) -> bool:
    """Play, tell and write `stream.csv`; says whether anything was answered and every truth taken."""
    cases = cases_in_order(contract, recordings)
    schedule = stream.schedule(len(cases))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with connection.open(transport=StreamTransport(_MOST_OPEN)) as http:
        client = WorkloadClient(http, contract.workload, contract.target)
        await _check_arm(client, stream.arm)
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("streaming", total=stream.limit)

            def on_progress(ended: int, waiting: int) -> None:
                words = f"streaming; {waiting} truths wait" if waiting else "streaming"
                progress.update(task, completed=ended, description=words)

            player = StreamPlayer(
                contract,
                client,
                schedule,
                arm=stream.arm,
                single_truths=stream.single_truths,
                most_open=_MOST_OPEN,
                on_progress=on_progress,
            )
            with _stopped_by_ctrl_c(schedule):
                streamed = await player.play(cases)
    out.mkdir(parents=True, exist_ok=True)
    write_stream(out / "stream.csv", contract, streamed.sent)
    show_stream(console, contract, streamed, schedule.dropped_truths)
    console.print(f"written to {out}: stream.csv", highlight=False)
    answered = any(isinstance(one.outcome, Prediction) for one in streamed.sent)
    return answered and not streamed.truth_failures


async def _check_arm(client: WorkloadClient, arm: str | None) -> None:
    arms = await client.arms()
    if arm is not None and arm not in arms:
        raise ValueError(f"--arm: got {arm!r}, expected one of {arms}")


@contextmanager
def _stopped_by_ctrl_c(schedule: Schedule) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, schedule.stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
