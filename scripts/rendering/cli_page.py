"""The text of `docs/reference/cli.md`, from the commands themselves; no terminal has a part in it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from scripts.rendering.model_tables import annotation_text, markdown_table, value_text
from training.runtime.settings import REPOSITORY

_MARKUP = re.compile(r"\[/?(?:bold|dim|italic|red|green|yellow|cyan)[^\]]*\]|\[/\]")
_Command = TyperCommand | TyperGroup


def markdown(root: TyperGroup, name: str = "raysonde") -> str:
    """Return a part for each command below `root`: its usage, help, arguments and options."""
    context = typer.Context(root, info_name=name)
    parts = (part for path, command in _below(root, context, name) for part in _parts(path, command))
    return "\n\n".join(parts)


def _below(group: TyperGroup, context: typer.Context, path: str) -> Iterator[tuple[str, _Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if not isinstance(command, _Command) or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, TyperGroup):
            yield from _below(
                command, typer.Context(command, info_name=name, parent=context), f"{path} {name}"
            )


def _parts(path: str, command: _Command) -> Iterator[str]:
    yield f"{'##' if path.count(' ') == 1 else '###'} {path}"
    yield _block([" ".join([path, *_usage(command)])])
    yield from _paragraphs(command.help or "")
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    rows = [_row(p) for p in shown if isinstance(p, TyperArgument | TyperOption)]
    if rows:
        yield markdown_table(("parameter", "type", "default", "meaning"), rows)


def _usage(command: _Command) -> Iterator[str]:
    if any(isinstance(parameter, TyperOption) for parameter in command.params):
        yield "[OPTIONS]"
    if isinstance(command, TyperGroup):
        yield "COMMAND"
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            name = _argument(parameter)
            yield name if parameter.required else f"[{name}]"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield prose on one line each, and commands that follow each other as one block of code."""
    commands: list[str] = []
    for paragraph in re.split(r"\n\s*\n", _MARKUP.sub("", inspect.cleandoc(text.replace("\b", "")))):
        if paragraph.strip().startswith("raysonde "):
            commands.append(inspect.cleandoc(paragraph))
            continue
        if commands:
            yield _block(commands)
            commands = []
        if paragraph.strip():
            yield " ".join(paragraph.split())
    if commands:
        yield _block(commands)


def _block(commands: list[str]) -> str:
    return "\n".join(["```", *commands, "```"])


def _argument(parameter: TyperArgument) -> str:
    return (parameter.metavar or (parameter.name or "").upper()).strip("[]")


def _row(parameter: TyperArgument | TyperOption) -> tuple[str, str, str, str]:
    if isinstance(parameter, TyperArgument):
        names = f"`{_argument(parameter)}`"
    else:
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    default = "required" if parameter.required else _default(parameter)
    text = parameter.help or ""
    if variable := parameter.envvar:
        text = f"{text} Environment: `{variable}`."
    return names, _type(parameter), default, text


def _type(parameter: TyperArgument | TyperOption) -> str:
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        return "flag"
    return annotation_text(parameter.type_descriptor.annotation)


def _default(parameter: TyperArgument | TyperOption) -> str:
    default = parameter.default
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        if not parameter.secondary_opts:
            return ""
        return f"`{(parameter.opts if default else parameter.secondary_opts)[0]}`"
    if default is None or callable(default):
        return ""
    if isinstance(default, Path) and default.is_relative_to(REPOSITORY):
        default = default.relative_to(REPOSITORY)
    return value_text(default)
