"""`python -m scripts.benchmarks.burst`, which `make burst` calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.benchmarks.bench.interrupted import interruptible
from scripts.benchmarks.bench.machine import machine
from scripts.benchmarks.bench.models import load_rows, make_models
from scripts.benchmarks.bench.server import CannotServe, Server
from scripts.benchmarks.bench.system import models_folder, own_site, own_system
from scripts.benchmarks.burst.page import MARKS, TITLE, measured_part, tables
from scripts.benchmarks.burst.phases import BurstPlan
from scripts.benchmarks.burst.picture import draw
from scripts.benchmarks.burst.play import Player
from scripts.benchmarks.burst.timeline import Seen, Timeline, courses, problems
from scripts.host.failure import exit_on, print_failure
from scripts.launcher.preflight import free_port
from scripts.rendering.generated_section import replace_part
from training.runtime.settings import REPOSITORY, Settings

PAGE = REPOSITORY / "docs" / "benchmarks" / "scaling.md"
_QUICK = BurstPlan(rounds=1, burst_s=30, idle_s=60, lead_s=3)
_REPORT_PERIOD_S = 10.0


def burst(
    rounds: Annotated[int, typer.Option(help="Bursts; 0: 3, or 1 when quick.")] = 0,
    duration_s: Annotated[float, typer.Option(help="Of a burst; 0: 60, or 30 when quick.")] = 0,
    rate: Annotated[float, typer.Option(help="Requests a second in a burst.")] = 500,
    arm: Annotated[str, typer.Option(help="linear, random_forest or mlp.")] = "mlp",
    port: Annotated[int, typer.Option(help="Of HTTP; another free one if it is taken.")] = 8330,
    quick: Annotated[bool, typer.Option(help="One short round, to try it.")] = False,
) -> None:
    """Send bursts to a system of its own, and follow its replicas.

    A whole run writes docs/benchmarks/scaling.md.
    """
    console = Console()
    base = _QUICK if quick else BurstPlan()
    plan = BurstPlan(rounds or base.rounds, rate, duration_s or base.burst_s, base.idle_s, base.lead_s)
    folder = Settings.from_environment().var / "bench"
    with interruptible(console), exit_on(console, "cannot measure", CannotServe):
        timeline = _run(console, plan, folder, arm, port)
    found = courses(timeline, plan, ("FeatureScaler", arm))
    wrong = problems(timeline, found)
    page = PAGE if plan == BurstPlan() and arm == "mlp" else folder / PAGE.name
    picture = draw(page.parent, plan, timeline, ("Router", "FeatureScaler", arm))
    part = measured_part("make burst", machine(), picture.name, timeline, plan, found, wrong)
    page.write_text(replace_part(page.read_text() if page.exists() else "", part, MARKS, TITLE))
    for table in tables(timeline, plan, found):
        console.print(table.rich())
    for line in wrong:
        print_failure(console, "not passed", line)
    console.print(f"Written: {page}, {picture}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if wrong else 0)


def _run(console: Console, plan: BurstPlan, folder: Path, arm: str, port: int) -> Timeline:
    make_models(models_folder(folder), [arm], lambda what: console.print(what, highlight=False))
    site = own_site(folder, f"burst-{arm}", arm, free_port(port))
    contender, dashboard = own_system(site, free_port(port + 1))
    console.print(f"Starting, then {plan.duration_s:.0f} s of bursts ...", highlight=False)
    next_s = 0.0

    def report(at_s: float, seen: Seen) -> None:
        nonlocal next_s
        if at_s < next_s:
            return
        next_s = at_s + _REPORT_PERIOD_S
        answered = len(player.timeline.ended)
        running = ", ".join(f"{name} {count}" for name, count in seen.running.items())
        console.print(
            f"{at_s:4.0f} of {plan.duration_s:.0f} s: {answered:,} answers; {running}", highlight=False
        )

    with Server(contender, site, load_rows(site.models, arm)) as server:
        player = Player(plan, server.target, dashboard, report)
        return asyncio.run(player.play())


if __name__ == "__main__":
    typer.run(burst)
