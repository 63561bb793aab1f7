"""`python -m scripts.benchmarks.scaling`, which `make scaling` calls."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer
from rich.console import Console

from scripts.benchmarks.bench.interrupted import interruptible
from scripts.benchmarks.bench.machine import machine
from scripts.benchmarks.bench.models import load_rows, make_models
from scripts.benchmarks.bench.server import CannotServe
from scripts.benchmarks.bench.system import models_folder, own_site, own_system
from scripts.benchmarks.bench.wrk import WrkFailed, WrkMissing, require_wrk
from scripts.benchmarks.scaling import autogroups
from scripts.benchmarks.scaling.journal_cost import JournalCost, journal_cost
from scripts.benchmarks.scaling.layouts import LAYOUTS
from scripts.benchmarks.scaling.page import MARKS, TITLE, measured_part, tables
from scripts.benchmarks.scaling.run import LayoutPlan, MeasuredLayout, measure
from scripts.host.failure import exit_on
from scripts.rendering.generated_section import replace_part
from training.runtime.settings import REPOSITORY, Settings

PAGE = REPOSITORY / "docs" / "benchmarks" / "scaling.md"
_CONNECTIONS, _ROUNDS, _DURATION_S = 64, 3, 8
_QUICK_ROUNDS, _QUICK_S = 1, 3
_ARM = "mlp"


def scaling(
    port: Annotated[int, typer.Option(help="Of HTTP; another free one if it is taken.")] = 8330,
    quick: Annotated[bool, typer.Option(help="One short round of each, to try it.")] = False,
) -> None:
    """Measure what replicas and nodes bring, and compute what larger rates need.

    A whole run writes docs/benchmarks/scaling.md.
    """
    console = Console()
    folder = Settings.from_environment().var / "bench"
    rounds, duration_s = (_QUICK_ROUNDS, _QUICK_S) if quick else (_ROUNDS, _DURATION_S)
    plan = LayoutPlan(_ARM, _CONNECTIONS, rounds, duration_s, folder, port)
    by_session = autogroups.are_on()
    with interruptible(console), exit_on(console, "cannot measure", CannotServe, WrkFailed, WrkMissing):
        require_wrk()
        if by_session:
            console.print(f"[yellow]{autogroups.ADVICE}[/]", highlight=False)
        measured, journal = _run(console, plan)
    page = folder / PAGE.name if quick else PAGE
    where = f"{machine()}, {autogroups.NAME}={int(by_session)}"
    part = measured_part("make scaling", where, plan, measured, journal)
    page.write_text(replace_part(page.read_text() if page.exists() else "", part, MARKS, TITLE))
    for table in tables(measured, journal):
        console.print(table.rich())
    console.print(f"Written: {page}", highlight=False, soft_wrap=True)


def _run(console: Console, plan: LayoutPlan) -> tuple[list[MeasuredLayout], JournalCost]:
    def report(what: str) -> None:
        console.print(what, highlight=False)

    models = models_folder(plan.folder)
    make_models(models, [plan.arm], report)
    report("The journal by itself")
    site = own_site(plan.folder, "scaling-journal", plan.arm, plan.port)
    contender, _ = own_system(site, plan.port)
    journal = journal_cost(site.folder, contender.bodies(load_rows(models, plan.arm).rows)[0])
    shutil.rmtree(site.folder)
    return [measure(plan, layout, report) for layout in LAYOUTS], journal


if __name__ == "__main__":
    typer.run(scaling)
