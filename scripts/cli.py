"""The `raysonde` command. Each sub-command is a file of this package, imported when it is called."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich", help=__doc__)
