"""INSERT that leaves rows alone whose key is there: what each database spells its own way."""

from __future__ import annotations

from sqlalchemy import Dialect, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(dialect: Dialect, table: Table) -> Insert:
    """INSERT INTO table ... ON CONFLICT DO NOTHING, for the dialect's database."""
    if dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
