"""`raysonde render`: one command for each kind of file that is made from others in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

<<<<<<< f19af04ae8d600004095ea839da319ffe62065e0
from scripts.cli.groups import command_group
=======
from scripts.rendering.dashboards import files as dashboards
from scripts.rendering.files import settle
from scripts.rendering.kuberay import COMMAND, kuberay_files
from scripts.rendering.reference_pages import COMMAND as DOCS_COMMAND
from scripts.rendering.reference_pages import reference_files
from training.runtime.settings import REPOSITORY
>>>>>>> c1dacdb77f373d2a46360f44527e02b2ee945c9a

CheckOption = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit code 1 if something is stale.")
]

app = command_group(
    """Make the files of the repository that come from others. Example:

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
    from scripts.rendering.files import settle
    from scripts.rendering.kuberay import COMMAND, kuberay_files

    settle(Console(), kuberay_files(_checkout()), check=check, command=COMMAND)


@app.command()
def grafana(check: CheckOption = False) -> None:
    """The dashboards in configs/grafana, from scripts/rendering/dashboards. Example:

    raysonde render grafana
    """
<<<<<<< f19af04ae8d600004095ea839da319ffe62065e0
    from scripts.rendering.dashboards.files import COMMAND, grafana_files
    from scripts.rendering.files import settle

    settle(Console(), grafana_files(_checkout()), check=check, command=COMMAND)


def _checkout() -> Path:
    """Return the folder of the source tree, which alone has these files.

    Raises:
        typer.Exit: raysonde is installed without one.
    """
    from features.locations import checkout

    found = checkout()
    if found is None:
        console = Console()
        console.print("[bold red]nothing to render:[/] raysonde is installed without its source tree")
        raise typer.Exit(1)
    return found
=======
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
>>>>>>> c1dacdb77f373d2a46360f44527e02b2ee945c9a
