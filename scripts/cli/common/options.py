"""Options that several commands have; imports nothing that takes time, as every module of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_HELP = "Directory of your own workloads, NAME.yaml and its module each, beside the built-in ones."
_VARIABLE = "RAYSONDE_WORKLOADS"

# `raysonde up --workloads` takes names
WorkloadsOption = Annotated[
    Path | None,
    typer.Option(
        "--workloads", "--workloads-dir", envvar=_VARIABLE, exists=True, file_okay=False, help=_HELP
    ),
]
WorkloadsDirOption = Annotated[
    Path | None, typer.Option("--workloads-dir", envvar=_VARIABLE, exists=True, file_okay=False, help=_HELP)
]
ServeConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The Serve config to start from, instead of raysonde's own.")
]
UrlOption = Annotated[str | None, typer.Option(help="Address of the system; else RAYSONDE_URL.")]
