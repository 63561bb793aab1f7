"""`raysonde score WORKLOAD INPUT OUTPUT`: what a running system would answer, for a whole file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from scripts.cli.common.options import WorkloadsOption
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from training.registry.model_version import ModelVersion
    from training.runtime.settings import Settings
    from training.scoring.run import Scored
    from training.sources.base import Progress as Report


def score(
    workload: Annotated[str, typer.Argument(help="Name of its YAML file, without .yaml.")],
    records: Annotated[
        Path,
        typer.Argument(metavar="INPUT", exists=True, help="A Parquet file of records, or a folder of them."),
    ],
    output: Annotated[
        Path, typer.Argument(help="A file if its name ends in .parquet, else a folder; written whole.")
    ],
    arm: Annotated[
        str | None, typer.Option(help="Whose champion answers, instead of the arm with the largest weight.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start anew, and replace OUTPUT; else a run that was cut off goes on."),
    ] = False,
    workloads: WorkloadsOption = None,
) -> None:
    """Answer every record of a file, on all cores, as the running system would.

    INPUT has the columns of the contract: its entity, its fields and, if an entity has several logs, `log`.
    For a workload with windows it holds samples, each log in the order of time, and OUTPUT a row for each
    window; else a row for each row. A record that the API would refuse has a row that says why (`error`).
    RAY_ADDRESS names a cluster to use, whose nodes have to see both paths. Examples:

        raysonde score calories workouts.parquet answers.parquet

        raysonde score apogee flights/ answers/ --arm linear

        raysonde score calories workouts.parquet answers.parquet --fresh
    """
    from scripts.launcher.user_workloads import require_modules, settings_with
    from training.registry.errors import RegistryUnreadable
    from training.runtime.errors import BundleError
    from training.scoring.errors import ScoringFailed

    console = Console()
    settings = settings_with(workloads)
    refused = (OSError, ValueError, LookupError, BundleError, RegistryUnreadable, ScoringFailed)
    try:
        with exit_on(console, "not scored", *refused):
            require_modules(settings, workload)
            scored = _score(console, settings, workload, (records, output), arm, fresh)
    except KeyboardInterrupt as error:
        console.print("Cut off. The same command goes on from here.", highlight=False)
        raise typer.Exit(130) from error
    console.print(f"{scored.answers:,} rows in {output}", highlight=False, soft_wrap=True)
    if scored.errors:
        console.print(f"[yellow]{scored.errors:,} of them have no answer: see the column error[/]")


def _score(
    console: Console,
    settings: Settings,
    workload: str,
    paths: tuple[Path, Path],
    arm: str | None,
    fresh: bool,
) -> Scored:
    from deployments.lifecycle.bundle_cache import BundleCache
    from features.config import load_contract
    from scripts.launcher.ray_session import ray_running

    # what does not fit is refused before anything slow
    from training.scoring.parts import require_absent
    from training.scoring.plan import open_records

    contract = load_contract(settings.workloads, workload)
    open_records(contract, paths[0])
    if not fresh:
        require_absent(paths[1])
    with console.status("Looking for the model"):
        version = _champion(settings, workload, arm)
        cache = BundleCache(settings.bundle_cache, contract, settings.registry_uri)
        bundle = cache.fetch(version.bundle, version.source)
    with console.status("Starting Ray"):
        from training.scoring.run import score_file
        from training.scoring.scorer import Stamp
    stamp = Stamp(version.arm, version.version, version.bundle)
    with ray_running(console), _bar(console, f"{workload} {version.arm} {version.version}") as report:
        return score_file(contract, bundle, stamp, *paths, report, fresh=fresh)


def _champion(settings: Settings, workload: str, arm: str | None) -> ModelVersion:
    """Return the champion of this arm, or of the arm with the largest weight that has one.

    Raises:
        LookupError: there is none.
        RegistryUnreadable: the registry does not answer as one.
    """
    from deployments.domain.routing import RoutingPolicy
    from features.config import load_sections
    from training.registry.listing import list_champions

    champions = list_champions(settings, workload)
    if arm is None and champions:
        routing = load_sections(settings.workloads, workload).get("routing")
        weights = RoutingPolicy.model_validate(routing).weights if routing else {}
        return champions[max(sorted(champions), key=lambda name: weights.get(name, 0))]
    if arm not in champions:
        wanted = f"arm {arm!r}" if arm else "any arm"
        advice = f"there are {sorted(champions)}" if champions else f"`raysonde train {workload}` makes them"
        raise LookupError(f"{workload}: no champion of {wanted}; {advice}")
    return champions[arm]


class _Rate(ProgressColumn):
    """Records a second, of this call."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} records/s" if speed else "")


@contextmanager
def _bar(console: Console, name: str) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=32), MofNCompleteColumn(), _Rate())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield report
