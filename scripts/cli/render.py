"""`raysonde render`: one command for each kind of file that is made from others in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.cli.common.groups import command_group
from scripts.host.failure import print_failure

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
    """Write the Serve config into the manifests of kuberay/, from serve_config.yaml.

    For example:

        raysonde render kuberay

        raysonde render kuberay --check
    """
    from scripts.rendering.files import settle
    from scripts.rendering.kuberay import COMMAND, kuberay_files

    settle(Console(), kuberay_files(_checkout()), check=check, command=COMMAND)


@app.command()
def grafana(check: CheckOption = False) -> None:
    """Make the dashboards in configs/grafana, from scripts/rendering/dashboards.

    For example:

        raysonde render grafana
    """
    from scripts.rendering.dashboards.files import COMMAND, grafana_files
    from scripts.rendering.files import settle

    settle(Console(), grafana_files(_checkout()), check=check, command=COMMAND)


@app.command()
def docs(check: CheckOption = False) -> None:
    """Make the tables of docs/reference from the code.

    For example:

        raysonde render docs

        raysonde render docs --check
    """
    from scripts.cli.main import app as root  # here: it names this module
    from scripts.rendering.files import settle
    from scripts.rendering.reference_pages import COMMAND, reference_files

    files = reference_files(_checkout(), typer.main.get_group(root))
    settle(Console(), files, check=check, command=COMMAND)


def _checkout() -> Path:
    """Return the folder of the source tree, which alone has these files.

    Raises:
        typer.Exit: raysonde is installed without one.
    """
    from features.locations import checkout

    found = checkout()
    if found is None:
        print_failure(Console(), "nothing to render", "raysonde is installed without its source tree")
        raise typer.Exit(1)
    return found
