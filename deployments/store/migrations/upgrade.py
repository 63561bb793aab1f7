"""The upgrade of a database to the tables of this version, by alembic's migrations.

A start that finds nothing to do makes one query, and does not import alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, String, column, inspect, select, table

from deployments.store.sql.engine import StoreIncompatible, reading, translate_errors, writing

# of `migrations/versions`, oldest first; tables without one are older than the first
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
# alembic's usual name is MLflow's, which may share the database
REVISION_TABLE = "store_revision"


class StoreTooNew(StoreIncompatible):
    """A later version of raysonde has upgraded the store; the message names both revisions."""


def create_tables(engine: Engine) -> bool:
    """Make the database of a SQLite URL and all tables, or upgrade those that are there, without loss.

    Safe in several processes at once: one does it, the others wait.

    Returns:
        Whether there was anything to do.

    Raises:
        StoreIncompatible: nothing was changed.
    """
    if engine.dialect.name == "sqlite":
        _make_file(engine)
    with reading(engine) as connection:
        if is_current(connection):
            return False
    with writing(engine) as connection:
        # another process may have been faster
        if not is_current(connection):
            from deployments.store.migrations.runner import migrate

            migrate(connection)
    return True


def read_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None if there are none, or older ones than the first."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    return connection.scalar(select(column("version_num", String)).select_from(table(REVISION_TABLE)))


def is_current(connection: Connection) -> bool:
    """Return whether the tables are those of this version.

    Raises:
        StoreTooNew: they are of a later one.
    """
    there = read_revision(connection)
    if there is not None and there not in REVISIONS:
        raise StoreTooNew(
            f"the store has revision {there}, and this version of raysonde knows revisions up to"
            f" {REVISIONS[-1]}: run the version that has upgraded the store, or restore a copy from before"
        )
    return there == REVISIONS[-1]


def _make_file(engine: Engine) -> None:
    assert engine.url.database, "a store in memory would be one database a connection"
    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with translate_errors(), engine.connect() as connection:
        # WAL is a property of the file, and cannot be set within a transaction
        connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
