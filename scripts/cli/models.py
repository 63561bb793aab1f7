"""`raysonde models WORKLOAD`: what the registry holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from scripts.cli.common.metric_columns import main_metric_columns, short_hash
from scripts.cli.common.options import WorkloadsOption
from scripts.host.failure import exit_on, print_failure

if TYPE_CHECKING:
    from training.registry.model_version import ModelVersion


def models(
    workload: Annotated[str, typer.Argument(help="Name of its YAML file, without .yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
    workloads: WorkloadsOption = None,
) -> None:
    """List the model versions of a workload: metrics, aliases and the hash of the bundle.

    For example:

        raysonde models apogee

        raysonde models apogee --json
    """
    from features.config import load_sections
    from scripts.launcher.user_workloads import settings_with
    from training.registry.errors import RegistryUnreadable
    from training.registry.listing import list_versions

    console = Console()
    settings = settings_with(workloads)
    with exit_on(console, "no models", FileNotFoundError, ValueError, RegistryUnreadable):
        load_sections(settings.workloads, workload)
        versions = list_versions(settings, workload)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(version) for version in versions], indent=2))
    elif versions:
        console.print(_table(workload, versions))
    else:
        advice = f"`raysonde train {workload}` makes them"
        print_failure(console, "no models", f"the registry has none of {workload}: {advice}")
        raise typer.Exit(1)


def _table(workload: str, versions: Sequence[ModelVersion]) -> Table:
    title = f"Models of {workload}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    shown = main_metric_columns([version.metrics for version in versions])
    numbers = [column.heading for column in shown]
    for heading in ("arm", "ver.", "alias", *numbers, "created", "bundle"):
        right = heading in ("ver.", *numbers)
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for version in versions:
        created = datetime.fromtimestamp(version.created_at_ms / 1000, UTC)
        table.add_row(
            version.arm,
            version.version,
            ", ".join(version.aliases),
            *(column.cell(version.metrics) for column in shown),
            f"{created:%d %b %H:%M}",
            short_hash(version.bundle),
        )
    return table
