"""`raysonde replay`: play recorded data against the running system, and see how good it was."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, track

from features.config import load_contract
from features.contract import Contract
from scripts.client import ApiError, Connection, WorkloadClient
from scripts.marks import Predictions, TimedPrediction, all_marks, best_arm
from scripts.recordings import Recording, load_recordings
from scripts.replay_files import write_marks, write_predictions
from scripts.replay_player import Played, Player
from scripts.replay_summary import show_summary
from training.settings import Settings


def replay(
    workload: Annotated[str, typer.Argument(help="Which workload, for example apogee.")],
    file: Annotated[Path, typer.Argument(help="Recorded data, CSV or Parquet.")],
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "max",
    out: Annotated[Path, typer.Option(help="Directory for the files and pictures.")] = Path("out"),
    url: Annotated[str | None, typer.Option(help="Address of the system; else RAYSONDE_URL.")] = None,
    flights: Annotated[str, typer.Option(help="Only these entities, separated by commas.")] = "",
) -> None:
    """Play recordings, ask every arm about every window, then send the truth back.

    Writes `replay.csv`, `predictions.csv` and a picture a log. Examples:

        raysonde replay apogee flights.parquet

        raysonde replay apogee flights.csv --speed 10 --out out/tenfold --flights A12,A13
    """
    console = Console()
    settings = Settings.from_environment()
    try:
        factor = _factor(speed)
        contract = load_contract(settings.workloads, workload)
        recordings = _chosen(load_recordings(contract, file), flights)
        played = asyncio.run(_play(console, contract, Connection.find(settings, url), recordings, factor))
    except (ApiError, OSError, ValueError) as error:
        console.print(f"[bold red]replay:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    out.mkdir(parents=True, exist_ok=True)
    _report(console, contract, recordings, played, out)
    if played.truth_failures or any(not failure.refused for failure in played.failures):
        raise typer.Exit(1)


def _factor(speed: str) -> float:
    try:
        factor = math.inf if speed == "max" else float(speed)
    except ValueError:
        factor = math.nan
    if not factor > 0:
        raise ValueError(f"--speed: got {speed!r}, expected a number above 0, or max")
    return factor


def _chosen(recordings: Sequence[Recording], flights: str) -> list[Recording]:
    wanted = {name.strip() for name in flights.split(",") if name.strip()}
    unknown = wanted - {recording.entity for recording in recordings}
    if unknown:
        known = sorted({recording.entity for recording in recordings})
        raise ValueError(f"--flights: got {sorted(unknown)}, the file has {known}")
    return [recording for recording in recordings if not wanted or recording.entity in wanted]


async def _play(
    console: Console,
    contract: Contract,
    connection: Connection,
    recordings: Sequence[Recording],
    speed: float,
) -> Played:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("samples"))
    async with connection.open() as http:
        client = WorkloadClient(http, contract.workload, contract.target.name)
        arms = await client.arms()
        if not arms:
            raise ValueError(f"{connection.url} serves no arm of {contract.workload} yet")
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            total = sum(len(recording.rows) for recording in recordings)
            task = progress.add_task(f"playing {len(recordings)} logs to {', '.join(arms)}", total=total)
            player = Player(
                contract, client, arms, speed=speed, on_progress=lambda n: progress.advance(task, n)
            )
            return await player.play(recordings)


def _report(
    console: Console, contract: Contract, recordings: Sequence[Recording], played: Played, out: Path
) -> None:
    from scripts.replay_picture import draw_recording  # matplotlib: not before --help is answered

    predictions = _by_recording(recordings, played)
    marks = all_marks(predictions)
    best = best_arm(marks, played.arms)
    write_marks(out / "replay.csv", contract, marks)
    write_predictions(out / "predictions.csv", contract, played)
    for recording, said in track(predictions.items(), "drawing", console=console, transient=True):
        draw_recording(out, contract, recording, said, best)
    show_summary(console, played, predictions, marks, best)
    console.print(
        f"written to {out}: replay.csv, predictions.csv, {len(predictions)} pictures", highlight=False
    )


def _by_recording(recordings: Sequence[Recording], played: Played) -> Predictions:
    found: dict[Recording, dict[str, list[TimedPrediction]]] = {
        recording: {arm: [] for arm in played.arms} for recording in recordings
    }
    for answer in played.answers:
        said = answer.prediction
        timed = TimedPrediction(answer.end_s, said.value, said.lower, said.upper)
        found[answer.recording][answer.arm].append(timed)
    return found
