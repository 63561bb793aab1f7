"""`raysonde render`: one command for each kind of file that is made from others in the repository."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from scripts.rendering.dashboards import files as dashboards
from scripts.rendering.files import settle
from scripts.rendering.kuberay import COMMAND, kuberay_files
from training.runtime.settings import REPOSITORY

CheckOption = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit code 1 if something is stale.")
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""Make the files of the repository that come from others. Example:

    raysonde render kuberay
    """,
)


@app.callback()
def _render() -> None: ...


@app.command()
def kuberay(check: CheckOption = False) -> None:
    """The Serve config in the manifests of kuberay/, from serve_config.yaml. Examples:

    raysonde render kuberay

    raysonde render kuberay --check
    """
    settle(Console(), kuberay_files(REPOSITORY), check=check, command=COMMAND)


@app.command()
def grafana(check: CheckOption = False) -> None:
    """The dashboards in configs/grafana, from scripts/dashboards. Example:

    raysonde render grafana
    """
    settle(Console(), dashboards.grafana_files(REPOSITORY), check=check, command=dashboards.COMMAND)
