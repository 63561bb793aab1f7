"""`raysonde render`: one command for each kind of file that is made from others in the repository."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from scripts.rendering.dashboards import files as dashboards
from scripts.rendering.files import settle
from scripts.rendering.kuberay import COMMAND, kuberay_files
from scripts.rendering.reference_pages import COMMAND as DOCS_COMMAND
from scripts.rendering.reference_pages import reference_files
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


@app.command()
def docs(check: CheckOption = False) -> None:
    """Make the tables of docs/reference from the code. Examples:

    raysonde render docs

    raysonde render docs --check
    """
    from scripts.cli.main import app as root  # here: it names this module

    files = reference_files(REPOSITORY, typer.main.get_group(root))
    settle(Console(), files, check=check, command=DOCS_COMMAND)
