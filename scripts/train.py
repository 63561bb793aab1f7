"""`raysonde train WORKLOAD...`: make a new champion of every arm."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
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
from rich.table import Table

from features.config import load_contract
from scripts.own_workloads import WorkloadsOption, require_modules, settings_with, workers_runtime_env

if TYPE_CHECKING:
    from training.pipeline import TrainedArm, TrainingOptions
    from training.settings import Settings
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
    reason: Annotated[str, typer.Option(help="Why, for the tags of the MLflow runs.")] = "by hand",
    workloads: WorkloadsOption = None,
) -> None:
    """Train every family of each workload and make the best model of each family its champion.

    A running system moves to the new champions within seconds. Examples:

        raysonde train apogee

        raysonde train apogee calories

        raysonde train apogee --families mlp,linear --trials 12

        raysonde train apogee --seed 3 --fresh

        raysonde train calories --data train.csv

        raysonde train mine --workloads my_folder
    """
    console = Console()
    settings = settings_with(workloads)
    try:
        units = [load_contract(settings.workloads, name).target.unit for name in names]
        for name in names:
            require_modules(settings, name)
    except (FileNotFoundError, ValueError) as error:
        raise _refused(console, error) from error
    with console.status("Starting Ray"):
        # heavy imports, so that --help answers at once
        from training.pipeline import TrainingOptions
    chosen = tuple(name.strip() for name in families.split(",")) if families else None
    options = TrainingOptions(chosen, trials, seed, resume, reason, data)
    with _ray(console):
        for name, unit in zip(names, units, strict=True):
            if len(names) > 1:
                console.rule(name, align="left")
            console.print(_table(_train_one(console, settings, name, options), unit))


def _train_one(
    console: Console, settings: Settings, workload: str, options: TrainingOptions
) -> list[TrainedArm]:
    from training.pipeline import TrainingBusy, train_workload
    from training.search import SearchError

    try:
        with _bars(console) as bars:
            return train_workload(settings, workload, options, bars.stage)
    except (FileNotFoundError, TrainingBusy, SearchError, ValueError) as error:
        raise _refused(console, error) from error
    except KeyboardInterrupt as error:
        console.print(f"Cut off. `raysonde train {workload}` goes on from here.", highlight=False)
        raise typer.Exit(130) from error


def _refused(console: Console, error: Exception) -> typer.Exit:
    """Says in one line why nothing was trained."""
    console.print(f"[bold red]not trained:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


class _Bars:
    """One line of a rich progress display for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> Report:
        """The progress of a new stage."""
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


@contextmanager
def _ray(console: Console) -> Iterator[None]:
    """The cluster that RAY_ADDRESS names, or one of our own for as long as we need it."""
    import ray

    with console.status("Starting Ray"):
        is_ours = "RAY_ADDRESS" not in os.environ
        ray.init(
            address=os.environ.get("RAY_ADDRESS", "local"),
            include_dashboard=False if is_ours else None,
            runtime_env=None if is_ours else workers_runtime_env(),
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _table(arms: Sequence[TrainedArm], unit: str) -> Table:
    """Arms, and below them the baselines."""
    title = f"New champions on held-out data (errors and band width in {unit})"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    shown = _shown(arms[0].card.metrics)
    for heading in ("ver.", *shown):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bundle", no_wrap=True)
    for arm in arms:
        version = arm.version
        table.add_row(
            version.arm, version.version, *_cells(arm.card.metrics, shown), short_hash(version.bundle)
        )
    table.add_section()
    for name, metrics in arms[0].card.baselines.items():
        table.add_row(name, "", *_cells(metrics, shown), "baseline", style="dim")
    return table


def short_hash(bundle: str) -> str:
    """The first digits of a content hash, enough to tell bundles apart."""
    return bundle.removeprefix("sha256:")[:10]


# heading -> name of the metric and its form
_METRICS = {
    "RMSLE": ("rmsle", "{:.4f}"),
    "MAE": ("mae", "{:.4g}"),
    "RMSE": ("rmse", "{:.4g}"),
    "APE": ("median_ape_percent", "{:.2f} %"),
    "coverage": ("coverage", "{:.1%}"),
    "width": ("mean_width", "{:.4g}"),
}


def _shown(metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Headings of the metrics that there are; the logarithmic error takes the place of the RMSE."""
    left_out = "RMSE" if "rmsle" in metrics else ""
    return tuple(
        heading for heading, (name, _) in _METRICS.items() if name in metrics and heading != left_out
    )


def _cells(metrics: Mapping[str, float], shown: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell(metrics, *_METRICS[heading]) for heading in shown)


def cell(metrics: Mapping[str, float], name: str, form: str) -> str:
    """A metric as text, empty if there is none."""
    return form.format(metrics[name]) if name in metrics else ""
