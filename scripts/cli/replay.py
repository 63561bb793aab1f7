"""`raysonde replay`: play recorded data against the running system, and see how good it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, track

from scripts.cli.common.options import UrlOption, WorkloadsOption
from scripts.cli.common.stream_options import (
    ActiveOption,
    ArmOption,
    BurstsOption,
    DurationOption,
    IdleOption,
    RateOption,
    SingleTruthsOption,
    StressOption,
    TruthDelayOption,
)
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from features.contract import Contract
    from scripts.replay.client import Connection
    from scripts.replay.horizon_errors import Predictions, TimedPrediction
    from scripts.replay.player import Played
    from scripts.replay.recordings import Recording
    from scripts.replay.reports.base import Report
    from scripts.replay.stream_schedule import Bursts, Pace
    from training.runtime.settings import Settings


def replay(
    workload: Annotated[str, typer.Argument(help="Which workload, for example apogee.")],
    file: Annotated[Path, typer.Argument(help="Recorded data, CSV or Parquet.")],
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "max",
    out: Annotated[Path, typer.Option(help="Directory for the files and pictures.")] = Path("out"),
    url: UrlOption = None,
    only: Annotated[
        str, typer.Option("--only", "--flights", help="Only these entities, separated by commas.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many rows or windows; of a stream, requests.")
    ] = None,
    bursts: BurstsOption = False,
    rate: RateOption = 20.0,
    active: ActiveOption = 5.0,
    idle: IdleOption = 25.0,
    stress: StressOption = None,
    truth_delay: TruthDelayOption = 300.0,
    single_truths: SingleTruthsOption = False,
    duration: DurationOption = None,
    arm: ArmOption = None,
    workloads: WorkloadsOption = None,
) -> None:
    """Play recorded data, then send the truth back.

    Asks every arm about every window or row, and writes `replay.csv`, `predictions.csv` and pictures.
    With --bursts or --stress it is a stream instead: one request at a time, the truth some minutes later,
    all written to `stream.csv`; Ctrl-C ends it with its summary. Examples:

        raysonde replay apogee flights.parquet

        raysonde replay apogee flights.csv --speed 10 --out out/tenfold --only A12,A13

        raysonde replay calories train.csv --bursts --truth-delay 60

        raysonde replay calories train.csv --stress 200 --duration 30 --truth-delay 5
    """
    import asyncio

    from features.config import load_contract
    from scripts.launcher.user_workloads import require_modules, settings_with
    from scripts.replay.client import ApiError, Connection
    from scripts.replay.recordings import load_recordings
    from scripts.replay.stream import Stream, play_stream
    from scripts.replay.stream_schedule import Bursts

    console = Console()
    settings = settings_with(workloads)
    with exit_on(console, "replay", ApiError, OSError, ValueError):
        pace = _pace(bursts, Bursts(rate, active, idle), stress)
        contract = load_contract(settings.workloads, workload)
        require_modules(settings, workload)
        connection = Connection.find(settings, url)
        recordings = _chosen(load_recordings(settings.workloads, contract, file), only)
        if pace is not None:
            stream = Stream(pace, truth_delay, limit, duration, arm, single_truths)
            sound = asyncio.run(play_stream(console, contract, connection, recordings, stream, out))
        else:
            options = _Options(_factor(speed, contract), limit)
            sound = _play_and_report(console, settings, contract, connection, recordings, options, out)
    if not sound:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Options:
    speed: float
    limit: int | None


def _play_and_report(
    console: Console,
    settings: Settings,
    contract: Contract,
    connection: Connection,
    recordings: Sequence[Recording],
    options: _Options,
    out: Path,
) -> bool:
    """Play, write and tell; says whether everything was answered or refused with a reason."""
    import asyncio

    from scripts.replay.reports.base import load_report

    report = load_report(settings.workloads, contract)
    played = asyncio.run(_play(console, contract, connection, recordings, options))
    return _show(console, contract, report, recordings, played, out)


def _pace(bursts: bool, shape: Bursts, stress: float | None) -> Pace | None:
    """Return the pace of the stream; None without one."""
    from scripts.replay.stream_schedule import Steady

    if bursts and stress is not None:
        raise ValueError("--bursts, --stress: got both, expected one of them")
    return Steady(stress) if stress is not None else shape if bursts else None


def _factor(speed: str, contract: Contract) -> float:
    try:
        factor = math.inf if speed == "max" else float(speed)
    except ValueError:
        factor = math.nan
    if not factor > 0:
        raise ValueError(f"--speed: got {speed!r}, expected a number above 0, or max")
    if contract.window is None and not math.isinf(factor):
        raise ValueError(
            f"--speed: got {speed!r}, but rows of {contract.workload} have no time: use --bursts"
        )
    return factor


def _chosen(recordings: Sequence[Recording], only: str) -> list[Recording]:
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    unknown = wanted - {recording.entity for recording in recordings}
    if unknown:
        known = sorted({recording.entity for recording in recordings})
        more = f" and {len(known) - 20} more" if len(known) > 20 else ""
        raise ValueError(f"--only: got {sorted(unknown)}, the file has {known[:20]}{more}")
    return [recording for recording in recordings if not wanted or recording.entity in wanted]


async def _play(
    console: Console,
    contract: Contract,
    connection: Connection,
    recordings: Sequence[Recording],
    options: _Options,
) -> Played:
    from scripts.replay.client import WorkloadClient
    from scripts.replay.player import Player

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"))
    async with connection.open() as http:
        client = WorkloadClient(http, contract.workload, contract.target)
        arms = await client.arms()
        if not arms:
            raise ValueError(f"{connection.url} serves no arm of {contract.workload} yet")
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            total = sum(len(recording.rows) for recording in recordings)
            task = progress.add_task(f"playing {len(recordings)} logs to {', '.join(arms)}", total=total)
            player = Player(
                contract,
                client,
                arms,
                speed=options.speed,
                limit=options.limit,
                on_progress=lambda n: progress.advance(task, n),
            )
            return await player.play(recordings)


def _show(
    console: Console,
    contract: Contract,
    report: Report,
    recordings: Sequence[Recording],
    played: Played,
    out: Path,
) -> bool:
    """Write and tell; says whether everything was answered or refused with a reason."""
    from scripts.replay.csv_files import write_predictions
    from scripts.replay.summary import show_summary

    out.mkdir(parents=True, exist_ok=True)
    predictions = by_recording(contract, recordings, played)
    best = report.best(contract, predictions, played.arms)
    report.write(out / "replay.csv", contract, predictions)
    write_predictions(out / "predictions.csv", contract, played)
    drawn = report.draw(out, contract, predictions, best)
    pictures = len(list(track(drawn, "drawing", console=console, transient=True)))
    show_summary(console, played, report.headline(contract, predictions, played.arms), best)
    console.print(
        f"written to {out}: replay.csv, predictions.csv, {pictures} picture{'' if pictures == 1 else 's'}",
        highlight=False,
    )
    return not (played.truth_failures or any(not failure.refused for failure in played.failures))


def by_recording(contract: Contract, recordings: Sequence[Recording], played: Played) -> Predictions:
    """Return the answers by recording, as the reports take them."""
    from features.workload import load_workload
    from scripts.replay.horizon_errors import TimedPrediction
    from training.runtime.tasks.factory import make_task

    task = make_task(contract, load_workload(contract))
    found: dict[Recording, dict[str, list[TimedPrediction]]] = {
        recording: {arm: [] for arm in played.arms} for recording in recordings
    }
    for answer in played.answers:
        prediction, case = answer.prediction, answer.case
        timed = TimedPrediction(case.end_s, task.to_arrays(prediction.row), case.target)
        found[case.recording][answer.arm].append(timed)
    return found
