"""`python -m scripts.benchmarks.bench`, which `make bench` calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from scripts.benchmarks.bench.contender import CONTENDERS
from scripts.benchmarks.bench.interrupted import interruptible
from scripts.benchmarks.bench.machine import machine, versions
from scripts.benchmarks.bench.models import ESTIMATORS, make_models
from scripts.benchmarks.bench.page import Circumstances, measured_part, page_with, tables
from scripts.benchmarks.bench.run import Plan, Results, run
from scripts.benchmarks.bench.wrk import WrkMissing, require_wrk
from scripts.host.failure import exit_on
from training.runtime.settings import REPOSITORY, Settings

PAGE = REPOSITORY / "docs" / "benchmarks" / "benchmarks.md"
CONNECTIONS = (1, 16, 64, 256)
ROUNDS = 3
QUICK_CONNECTIONS = (16,)
_QUICK_S = 3
_DURATION_S = 10


def bench(
    others: Annotated[Path, typer.Option(help="Environment of the contenders.")] = REPOSITORY / ".venv-bench",
    contenders: Annotated[str, typer.Option(help="Names, separated by commas; all when empty.")] = "",
    arms: Annotated[str, typer.Option(help="Names, separated by commas; all when empty.")] = "",
    duration_s: Annotated[int, typer.Option(help="Of a round; 0: 10, or 3 when quick.")] = 0,
    starts: Annotated[int, typer.Option(min=1, help="Of each; its rounds are spread over them.")] = 1,
    quick: Annotated[bool, typer.Option(help="One round at 16 connections, to try it.")] = False,
) -> None:
    """Measure raysonde beside other servers.

    A whole run writes docs/benchmarks/benchmarks.md, any other one a page in var/bench/.
    """
    console = Console()
    folder = Settings.from_environment().var / "bench"
    with exit_on(console, "cannot measure", WrkMissing, ValueError, FileNotFoundError):
        names = _chosen("CONTENDERS", contenders, [contender.name for contender in CONTENDERS])
        plan = Plan(
            contenders=[contender for contender in CONTENDERS if contender.name in names],
            arms=_chosen("ARMS", arms, list(ESTIMATORS)),
            connections=QUICK_CONNECTIONS if quick else CONNECTIONS,
            rounds=1 if quick else math.ceil(ROUNDS / starts),
            duration_s=duration_s or (_QUICK_S if quick else _DURATION_S),
            folder=folder,
            others=_programs(others),
            starts=starts,
        )
        wrk = require_wrk()
    with interruptible(console):
        results = _run(console, plan)
    is_whole = not (quick or contenders or arms)
    page = PAGE if is_whole else folder / PAGE.name
    command = _command(contenders, arms, duration_s, starts, quick)
    _write(page, plan, results, versions(plan.others, wrk), command)
    _show(console, plan, results, page)
    raise typer.Exit(1 if results.failed else 0)


def _chosen(variable: str, text: str, known: Sequence[str]) -> list[str]:
    names = text.replace(",", " ").split()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{variable}: got {' '.join(unknown)}, expected some of: {' '.join(known)}")
    return names or list(known)


def _programs(environment: Path) -> Path:
    programs = environment.resolve() / "bin"
    if not (programs / "python").exists():
        raise FileNotFoundError(f"no environment of the contenders in {environment}: `make bench` makes it")
    return programs


def _run(console: Console, plan: Plan) -> Results:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
    with Progress(*columns, MofNCompleteColumn(), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("Models", total=plan.steps)
        make_models(plan.models, plan.arms, lambda what: progress.update(task, description=what))
        return run(plan, lambda what, done: progress.update(task, description=escape(what), completed=done))


def _write(page: Path, plan: Plan, results: Results, notes: Sequence[str], command: str) -> None:
    date = f"{datetime.now(UTC):%d %B %Y}"
    around = Circumstances(command, date, machine(), notes, plan.rounds, plan.duration_s, plan.starts)
    part = measured_part(around, plan.contenders, results.measured, results.failed, plan.arms)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(page_with(page.read_text() if page.exists() else "", part))


def _command(contenders: str, arms: str, duration_s: int, starts: int, quick: bool) -> str:
    given = {
        "QUICK": "1" if quick else "",
        "CONTENDERS": ",".join(contenders.replace(",", " ").split()),
        "ARMS": ",".join(arms.replace(",", " ").split()),
        "DURATION_S": str(duration_s or ""),
        "STARTS": str(starts) if starts > 1 else "",
    }
    return " ".join(["make bench", *(f"{name}={text}" for name, text in given.items() if text)])


def _show(console: Console, plan: Plan, results: Results, page: Path) -> None:
    for table in tables(results.measured, plan.arms):
        console.print(table.rich())
    for failure in results.failed:
        why = escape(f"{failure.contender}, {failure.arm}: {failure.why}")
        console.print(f"[bold red]not measured:[/] {why}", highlight=False, soft_wrap=True)
    console.print(f"Written: {page}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(bench)
