"""The contents of a database, for its operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, inspect, select, text

from deployments.store.migrations.upgrade import read_revision
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import metadata

_SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(frozen=True)
class Inventory:
    """A store at one moment.

    Attributes:
        revision: of its tables; None of a store without tables, or with older ones than the first.
        rows: their number, by table.
        size_bytes: of the whole database, which PostgreSQL may share with others.
    """

    revision: str | None
    rows: Mapping[str, int]
    size_bytes: int


def take_inventory(engine: Engine) -> Inventory:
    """Count the rows of all tables, which takes seconds for millions of rows. Nothing is changed.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with reading(engine) as connection:
        size_bytes = connection.scalar(text(_SIZES[engine.dialect.name])) or 0
        return Inventory(read_revision(connection), _rows(connection), size_bytes)


def _rows(connection: Connection) -> dict[str, int]:
    there = set(inspect(connection).get_table_names())
    tables = [table for name, table in sorted(metadata.tables.items()) if name in there]
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}
