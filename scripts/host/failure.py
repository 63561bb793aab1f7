"""The line by which a command says why it did not do what was asked. Imports nothing that takes time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape


def print_failure(console: Console, what: str, reason: object) -> None:
    """Print what did not happen, in red, and why."""
    console.print(f"[bold red]{what}:[/] {escape(str(reason))}", highlight=False, soft_wrap=True)


@contextmanager
def exit_on(console: Console, what: str, *errors: type[Exception]) -> Iterator[None]:
    """End the program with status 1 and the line of `print_failure` when one of these errors is raised.

    Raises:
        typer.Exit: one was.
    """
    try:
        yield
    except errors as error:
        print_failure(console, what, error)
        raise typer.Exit(1) from error
