"""`raysonde logs`: questions to the log files of a system, by DuckDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.host.failure import print_failure

if TYPE_CHECKING:
    from scripts.cli.log_queries import Found

_REQUEST = "request"


def logs(
    question: Annotated[
        str, typer.Argument(help="errors, slow, arms, events, request (with an ID), or a query in SQL.")
    ] = "errors",
    id_: Annotated[
        str, typer.Argument(metavar="[ID]", help="Of a prediction, an answer (X-Request-ID) or a trace.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(file_okay=False, help="Of the log files; the system's own unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a row, for programs.")] = False,
) -> None:
    """Ask the log files of the system, running or not.

    The views are requests (answers), errors (requests that were refused or failed), events (all other
    lines) and, where RAYSONDE_TRACES has them written, spans. Times are UTC. Needs DuckDB:
    pip install 'raysonde[logs]'. Examples:

        raysonde logs errors

        raysonde logs request 01M7YFJS50MGRD1C3B79YD4V41

        raysonde logs "SELECT arm, count(*) FROM requests GROUP BY arm"
    """
    from training.runtime.settings import Settings

    console = Console()
    try:
        from duckdb import Error

        from scripts.cli.log_queries import QUESTIONS, Logs, NoLogs
    except ModuleNotFoundError as missing:
        _refuse(console, "DuckDB is not installed: pip install 'raysonde[logs]'", missing)
    from training.runtime.environment import Environment  # here: see there

    settings = Settings.from_environment()
    traces = Environment.read().traces or settings.var / "traces"
    try:
        logs = Logs(folder or settings.logs, traces)
        found = logs.of_request(id_) if question == _REQUEST else logs.ask(QUESTIONS.get(question, question))
    except (NoLogs, Error) as error:
        _refuse(console, str(error), error)
    _show(console, found, as_json)


def _refuse(console: Console, reason: str, cause: Exception) -> NoReturn:
    print_failure(console, "no answer", reason)
    raise typer.Exit(1) from cause


def _show(console: Console, found: Found, as_json: bool) -> None:
    if as_json:
        for row in found.rows:
            typer.echo(json.dumps(dict(zip(found.columns, row, strict=True)), default=str))
        return
    table = Table(box=SIMPLE_HEAD, padding=0)
    for name in found.columns:
        table.add_column(escape(name), overflow="fold")
    for row in found.rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    console.print(table)
    console.print(f"{len(found.rows)} rows", highlight=False)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
