"""Predictions over live telemetry on Ray Serve: start it, train it, play recorded data against it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand

from scripts.cli.common.groups import CommandGroup, command_group

# name of the sub-command -> "module:function"; a module is imported when its command is asked for
COMMANDS = {
    "up": "scripts.cli.up:up",
    "down": "scripts.cli.down:down",
    "node": "scripts.cli.node:app",
    "train": "scripts.cli.train:train",
    "retrain": "scripts.cli.retrain:retrain",
    "promote": "scripts.cli.promote:promote",
    "rollback": "scripts.cli.promote:rollback",
    "models": "scripts.cli.models:models",
    "score": "scripts.cli.score:score",
    "store": "scripts.cli.store:app",
    "replay": "scripts.cli.replay:replay",
    "demo": "scripts.cli.demo:app",
    "results": "scripts.cli.results:results",
    "render": "scripts.cli.render:app",
    "logs": "scripts.cli.logs:logs",
}


class _LazyCommands(CommandGroup):
    """Sub-commands from `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return cast(TyperCommand, group)
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(name=cmd_name)(found)
        return cast(TyperCommand, typer.main.get_command(single))


app = command_group(cls=_LazyCommands)


@app.callback(help=__doc__)
def _root(context: typer.Context) -> None:
    # on the nodes of a cluster, containers of other users read Ray's dashboards beside our files
    if context.invoked_subcommand != "node":
        os.umask(0o077)  # as `make_files_private`, which a page of help does not import
