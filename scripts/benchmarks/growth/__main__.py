"""`python -m scripts.benchmarks.growth`, or `make bench-growth`: what more arms and a long journal cost."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.markup import escape

from scripts.benchmarks.bench import raysonde
from scripts.benchmarks.bench.contender import CONTENDERS, Contender, Launch, Site
from scripts.benchmarks.bench.machine import machine
from scripts.benchmarks.bench.measure import Measured, Round, medians
from scripts.benchmarks.bench.models import load_rows, make_models, revision
from scripts.benchmarks.bench.page import page_with
from scripts.benchmarks.bench.run import one_round
from scripts.benchmarks.bench.server import CannotServe, Server
from scripts.benchmarks.bench.wrk import WrkFailed, WrkMissing, require_wrk, run_wrk
from scripts.benchmarks.growth.layouts import Size, fill_journal, lay_out_grown
from scripts.benchmarks.growth.page import growth_part, growth_table
from scripts.host.failure import exit_on
from scripts.launcher.preflight import free_port
from training.runtime.settings import REPOSITORY, Settings

PAGE = REPOSITORY / "docs" / "benchmarks" / "growth.md"
MODEL = "linear"
CONNECTIONS = 16
# the first is what the others are compared with
SIZES = (Size(2, 0), Size(2, 1_000_000), Size(8, 0), Size(8, 1_000_000))
_PORT = 8310
_WARM_UP_S = 5
_SETTLED_WARM_UPS = 3
_MOST_WARM_UPS = 24
_READY_S = 240.0
_POLL_S = 0.25

Show = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """The plan of a measurement.

    Attributes:
        sizes: each started `starts` times, in turn with the others, so that what else the machine does in
            the course of the run falls on all of them.
        rounds: of load after each start.
        duration_s: of a round.
        folder: for models, journals and what the starts write.
        profile: of `raysonde up`.
    """

    sizes: Sequence[Size]
    starts: int
    rounds: int
    duration_s: int
    folder: Path
    profile: str


def growth(
    starts: Annotated[int, typer.Option(min=1, help="Of each size.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="After each start.")] = 3,
    duration_s: Annotated[int, typer.Option(min=1, help="Of a round.")] = 10,
    profile: Annotated[str, typer.Option(help="fast or plain.")] = "fast",
    quick: Annotated[bool, typer.Option(help="Smallest and largest, one short round, to try it.")] = False,
) -> None:
    """Measure raysonde with more arms and a long journal. A run that is not quick writes the page."""
    console = Console()
    folder = Settings.from_environment().var / "bench" / "growth"
    plan = Plan(SIZES, starts, rounds, duration_s, folder, profile)
    if quick:
        plan = replace(plan, sizes=(SIZES[0], SIZES[-1]), starts=1, rounds=1, duration_s=3)
    with exit_on(console, "cannot measure", WrkMissing, WrkFailed, CannotServe):
        require_wrk()
        found = measure(plan, lambda what: console.print(escape(what), highlight=False))
    console.print(growth_table(found).rich())
    page = folder / PAGE.name if quick else PAGE
    command = " ".join(["make bench-growth", *(["QUICK=1"] if quick else [])])
    part = growth_part(
        found, command, f"{machine()}; {datetime.now(UTC):%d %B %Y}", plan.starts * plan.rounds
    )
    page.write_text(page_with(page.read_text() if page.exists() else "# What growth costs", part))
    console.print(f"Written: {page}", highlight=False, soft_wrap=True)


def measure(plan: Plan, show: Show) -> dict[Size, Measured]:
    """Measure each size, as medians of its rounds.

    Raises:
        CannotServe, WrkFailed: a size could not be measured.
    """
    models = plan.folder.parent / f"models-{revision()}"
    make_models(models, [MODEL], show)
    folders = {size: _laid_out(plan, size, models, show) for size in plan.sizes}
    rounds: dict[Size, list[Round]] = {size: [] for size in plan.sizes}
    for start in range(1, plan.starts + 1):
        for size in plan.sizes:
            show(f"{size.name}: start {start} of {plan.starts}")
            rounds[size] += _rounds(plan, size, folders[size], models)
    return {size: medians(size.name, MODEL, CONNECTIONS, found) for size, found in rounds.items()}


def _laid_out(plan: Plan, size: Size, models: Path, show: Show) -> Path:
    journal = plan.folder / f"journal-{size.rows}.db"
    journal.parent.mkdir(parents=True, exist_ok=True)
    if size.rows:
        show(f"Writing a journal of {size.rows:,} rows")
        fill_journal(journal, size.rows)
    folder = plan.folder / f"{size.arms}-arms-{size.rows}-rows"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lay_out_grown(folder, size, models / MODEL / "bundle", journal)
    return folder


def _rounds(plan: Plan, size: Size, folder: Path, models: Path) -> list[Round]:
    site = Site(MODEL, models, folder, free_port(_PORT), Path(sys.executable), Path(sys.executable).parent)
    with Server(_contender(plan.profile, size), site, load_rows(models, MODEL)) as server:
        _wait_until_ready(site.port, server.target.headers)
        _warm_up(server, folder / "warm-up.lua")
        return [
            one_round(server, CONNECTIONS, plan.duration_s, folder / "load.lua") for _ in range(plan.rounds)
        ]


def _warm_up(server: Server, script: Path) -> None:
    """Load until replicas neither come nor go: each that starts takes as much as a thousand requests."""
    settled, before = 0, frozenset[psutil.Process]()
    for _ in range(_MOST_WARM_UPS):
        run_wrk(server.target, CONNECTIONS, _WARM_UP_S, script)
        now = frozenset(server.tree.alive())
        settled, before = settled + 1 if now == before else 0, now
        if settled == _SETTLED_WARM_UPS:
            return


def _contender(profile: str, size: Size) -> Contender:
    """raysonde as the benchmark has it, but on a folder that is laid out already."""

    def launch(site: Site) -> Launch:
        command = raysonde.command(site.python, site.folder, site.port, profile)
        return Launch(command, raysonde.environment(site.folder, site.key))

    known = next(one for one in CONTENDERS if one.name == f"raysonde-{profile}")
    return replace(known, name=size.name, launch=launch)


def _wait_until_ready(port: int, headers: Mapping[str, str]) -> None:
    """Wait until all arms answer and the monitor has read the journal, which takes a core while it lasts."""
    address = f"http://127.0.0.1:{port}/{raysonde.WORKLOAD}"
    with httpx.Client(base_url=address, headers=dict(headers), timeout=10) as client:
        _wait_for(lambda: client.get("/healthz").status_code == httpx.codes.OK, "not all arms answer")
        _wait_for(lambda: client.get("/monitor").json().get("up_to_date", False), "the journal is not read")


def _wait_for(is_so: Callable[[], bool], what_is_not: str) -> None:
    deadline_s = time.monotonic() + _READY_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise CannotServe(f"{what_is_not} after {_READY_S:g} s")
        time.sleep(_POLL_S)


if __name__ == "__main__":
    typer.run(growth)
