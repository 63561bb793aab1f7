"""`raysonde train WORKLOAD...`: make a new champion of every arm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from scripts.cli.common.metric_columns import metric_columns, short_hash
from scripts.cli.common.options import WorkloadsOption
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from features.targets import AnyTarget
    from training.pipeline.arm_training import TrainedArm
    from training.pipeline.run import TrainingOptions
    from training.runtime.settings import Settings
    from training.sources.base import Progress as Report


def train(
    names: Annotated[
        list[str], typer.Argument(metavar="WORKLOAD...", help="Names of their YAML files, without .yaml.")
    ],
    trials: Annotated[
        int | None, typer.Option(min=1, help="Parameter sets tried by each family, instead of the YAML's.")
    ] = None,
    families: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Learn from this file, if the workload's source reads files.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the seed in the YAML.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on with a search that was cut off, or start anew.")
    ] = True,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only those that lack a model of some arm; none is no error.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the tags of the MLflow runs.")] = "by hand",
    workloads: WorkloadsOption = None,
) -> None:
    """Train every family of each workload and make the best model of each family its champion.

    A running system moves to the new champions within seconds. Examples:

        raysonde train apogee

        raysonde train apogee calories

        raysonde train apogee --families mlp,linear --trials 12

        raysonde train apogee --seed 3 --fresh

        raysonde train --missing apogee calories

        raysonde train calories --data train.csv

        raysonde train mine --workloads my_folder
    """
    from features.config import load_contract
    from scripts.launcher.user_workloads import require_modules, settings_with

    console = Console()
    settings = settings_with(workloads)
    with exit_on(console, "not trained", FileNotFoundError, ValueError):
        targets = {name: load_contract(settings.workloads, name).target for name in names}
        for name in names:
            require_modules(settings, name)
    if missing:
        names = _lacking(console, settings, names)
    if not names:
        return
    with console.status("Starting Ray"):
        # seconds, which the line above explains
        from training.pipeline.run import TrainingOptions
    chosen = tuple(name.strip() for name in families.split(",")) if families else None
    options = TrainingOptions(chosen, trials, seed, resume, reason, data)
    _train_all(console, settings, {name: targets[name] for name in names}, options)


def _train_all(
    console: Console, settings: Settings, targets: Mapping[str, AnyTarget], options: TrainingOptions
) -> None:
    """Train one workload after the other, with a table of each."""
    from scripts.launcher.ray_session import ray_running

    with ray_running(console):
        for name, target in targets.items():
            if len(targets) > 1:
                console.rule(name, align="left")
            console.print(_table(_train_one(console, settings, name, options), target))


def _lacking(console: Console, settings: Settings, names: Sequence[str]) -> list[str]:
    from scripts.launcher.first_models import lacks_models
    from training.registry.errors import RegistryUnreadable

    with exit_on(console, "not trained", RegistryUnreadable):
        lacking = [name for name in names if lacks_models(settings, name)]
    if not lacking:
        console.print("Every arm has its model: nothing is trained.", highlight=False)
    return lacking


def _train_one(
    console: Console, settings: Settings, workload: str, options: TrainingOptions
) -> list[TrainedArm]:
    from training.pipeline.run import TrainingBusy, train_workload
    from training.search.tune import SearchError

    try:
        with (
            exit_on(console, "not trained", FileNotFoundError, TrainingBusy, SearchError, ValueError),
            _bars(console) as bars,
        ):
            return train_workload(settings, workload, options, bars.stage)
    except KeyboardInterrupt as error:
        console.print(f"Cut off. `raysonde train {workload}` goes on from here.", highlight=False)
        raise typer.Exit(130) from error


class _Bars:
    """A line of a rich progress display for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> Report:
        """Begin a new stage; returns the report of its progress."""
        task = self._progress.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            self._progress.update(task, completed=done, total=total)

        return report


@contextmanager
def _bars(console: Console) -> Iterator[_Bars]:
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress)


def _table(arms: Sequence[TrainedArm], target: AnyTarget) -> Table:
    """Arms, and below them the baselines."""
    words = {"regression": "errors and band width", "path": "errors and radii"}.get(target.task)
    title = "New champions on held-out data" + (f" ({words} in {target.unit})" if words else "")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    shown = metric_columns(arms[0].card.metrics)
    for heading in ("ver.", *(column.heading for column in shown)):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bundle", no_wrap=True)
    for arm in arms:
        version = arm.version
        cells = (column.cell(arm.card.metrics) for column in shown)
        table.add_row(version.arm, version.version, *cells, short_hash(version.bundle))
    table.add_section()
    for name, metrics in arms[0].card.baselines.items():
        table.add_row(name, "", *(column.cell(metrics) for column in shown), "baseline", style="dim")
    return table
