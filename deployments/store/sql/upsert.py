"""An INSERT that leaves rows alone whose key is there, in the spelling of each database."""

from __future__ import annotations

from sqlalchemy import Dialect, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(dialect: Dialect, table: Table) -> Insert:
    """Make INSERT INTO table ... ON CONFLICT DO NOTHING, for the dialect's database."""
    if dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
