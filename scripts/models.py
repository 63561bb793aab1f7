"""`raysonde models WORKLOAD`: what the registry holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from features.config import load_contract
from training.settings import Settings

if TYPE_CHECKING:
    from training.registry import ModelVersion


def models(
    workload: Annotated[str, typer.Argument(help="Name of a file in configs/workloads, without .yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
) -> None:
    """List the model versions of a workload: metrics, aliases and the hash of the bundle.

    Examples:

        raysonde models apogee

        raysonde models apogee --json
    """
    console = Console()
    settings = Settings.from_environment()
    try:
        load_contract(settings.workloads, workload)
    except (FileNotFoundError, ValueError) as error:
        console.print(f"[bold red]no models:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    # MLflow takes seconds to import: not before --help or a mistyped name is answered
    from training.registry import Registry

    versions = Registry(settings).versions(workload)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(version) for version in versions], indent=2))
    elif versions:
        console.print(_table(workload, versions))
    else:
        advice = f"`raysonde train {workload}` makes them"
        console.print(
            f"[bold red]no models:[/] the registry has none of {workload}: {advice}", highlight=False
        )
        raise typer.Exit(1)


def _table(workload: str, versions: Sequence[ModelVersion]) -> Table:
    table = Table(title=f"Models of {workload}", title_justify="left")
    for heading in ("arm", "version", "alias", "MAE", "median APE", "coverage", "created", "bundle"):
        right = heading in ("version", "MAE", "median APE", "coverage")
        table.add_column(heading, justify="right" if right else "left")
    for version in versions:
        table.add_row(
            version.arm,
            version.version,
            ", ".join(version.aliases),
            _metric(version, "mae", "{:.4g}"),
            _metric(version, "median_ape_percent", "{:.2f} %"),
            _metric(version, "coverage", "{:.1%}"),
            f"{datetime.fromtimestamp(version.created_at_ms / 1000, UTC):%Y-%m-%d %H:%M}Z",
            version.bundle[:19],
        )
    return table


def _metric(version: ModelVersion, name: str, form: str) -> str:
    return form.format(version.metrics[name]) if name in version.metrics else ""
