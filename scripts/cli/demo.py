"""The group `raysonde demo`: one command a demonstration."""

from __future__ import annotations

import typer

from scripts.demo.heal import heal

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""Demonstrate the system, on one of its own beside any that runs. Example:

    raysonde demo heal
    """,
)
app.command(name="heal")(heal)


@app.callback()
def _demo() -> None: ...
