"""Groups of commands that cost nothing until a command of theirs is asked for."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup, TyperOption


class CommandGroup(TyperGroup):
    """A group whose own `--help`, where it is not given, is plainly False.

    Typer would build a pydantic model to turn its None into False, which takes longer than all else that the
    help of a command needs.
    """

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """Return the option, or None for a group without one."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


def command_group(help_: str | None = None, cls: type[TyperGroup] = CommandGroup) -> typer.Typer:
    """Return an empty group with the manners of all of ours: help in colour, and plain tracebacks."""
    return typer.Typer(
        cls=cls,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=help_,
    )
