"""`raysonde store status`, `upgrade` and `erase`: the database of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from scripts.cli.common.groups import command_group
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from deployments.store import Store
    from deployments.store.inventory import Inventory
    from training.runtime.settings import Settings

app = command_group(
    """Manage the database of the journal, which RAYSONDE_STORE_URL names. Examples:

    raysonde store status

    raysonde store upgrade

    raysonde store erase apogee A12
    """,
)


@app.callback()
def _store() -> None: ...


@app.command()
def status() -> None:
    """Tell the revision of the tables, how many rows each has, and how large it all is. Changes nothing.

    For example:

        raysonde store status

        RAYSONDE_STORE_URL=postgresql://ann@host/journal raysonde store status
    """
    from training.runtime.settings import Settings, without_password

    console = Console()
    settings = Settings.from_environment()
    with _errors_printed(console), closing(_open(settings)) as store:
        inventory = store.inventory()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name, rows in inventory.rows.items():
        table.add_row(name, f"{rows:,}")
    console.print(without_password(settings.store_url), highlight=False, soft_wrap=True)
    console.print(f"revision {_describe_revision(inventory)}", highlight=False)
    console.print(f"size     {decimal(inventory.size_bytes)}", highlight=False)
    console.print(table)


@app.command()
def upgrade() -> None:
    """Bring the tables to this version of raysonde, without loss, as each start does by itself.

    By hand where a start would have to wait for it: stop what writes, and copy the store, since there is no
    way back. Example:

        raysonde store upgrade
    """
    from deployments.store import Store
    from deployments.store.migrations.upgrade import REVISIONS
    from training.runtime.settings import Settings

    console = Console()
    with _errors_printed(console), closing(Store(Settings.from_environment().store_url)) as store:
        was_older = store.create_tables()
    when = "now" if was_older else "already"
    console.print(f"the store is at revision {REVISIONS[-1]} {when}", highlight=False)


@app.command()
def erase(
    workload: Annotated[str, typer.Argument(help="Workload of the entity.")],
    entity: Annotated[str, typer.Argument(help="Name of the entity, as its instances have it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Delete all predictions, truths, shadow answers and the history of one entity. There is no way back.

    The system may run meanwhile. An act records who did it and how many rows went, without the entity.

    For example:

        raysonde store erase apogee A12 --yes
    """
    from training.runtime.settings import Settings

    console = Console()
    if not yes:
        typer.confirm(f"Delete all rows of {entity} in {workload}?", abort=True)
    with _errors_printed(console), closing(_open(Settings.from_environment())) as store:
        deleted = store.erase(workload, entity, actor=_user())
    for name, rows in deleted.items():
        console.print(f"{name:<16} {rows:>10,}", highlight=False)


def _user() -> str:
    """Return who runs this; a container's user may have no name."""
    try:
        return getuser()[:64]
    except (KeyError, OSError):
        return "unknown"


def _open(settings: Settings) -> Store:
    """Open the store; raises FileNotFoundError where there is none yet."""
    from deployments.store import Store

    path = settings.store_url.removeprefix("sqlite:///")
    if path != settings.store_url and not Path(path).exists():
        raise FileNotFoundError(f"no store at {path}: the first start, or `raysonde store upgrade`, makes it")
    return Store(settings.store_url)


def _describe_revision(inventory: Inventory) -> str:
    from deployments.store.migrations.upgrade import REVISIONS

    if inventory.revision == REVISIONS[-1]:
        return f"{inventory.revision}, which is that of this version"
    if inventory.revision is None and not inventory.rows:
        return "none: there are no tables; the next start makes them"
    if inventory.revision is None or inventory.revision in REVISIONS:
        there = inventory.revision or "none"
        return f"{there}; the next start, or `raysonde store upgrade`, brings it to {REVISIONS[-1]}"
    return f"{inventory.revision}: of a later version, while this one knows up to {REVISIONS[-1]}"


@contextmanager
def _errors_printed(console: Console) -> Iterator[None]:
    """End the program with a line that says why, if it has to."""
    from deployments.store import StoreIncompatible, StoreUnavailable

    with exit_on(console, "no", StoreUnavailable, StoreIncompatible, FileNotFoundError, ValueError):
        yield
