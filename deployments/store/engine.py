"""Opening the database and its transactions, the same way for SQLite and PostgreSQL.

Writers take turns: BEGIN IMMEDIATE on SQLite, one advisory lock on PostgreSQL. So nothing that a writer has
read changes before it commits, and rows become visible in the order of their `seq`: a reader by cursor
misses none.

SQLite runs in WAL mode with synchronous=FULL. In WAL mode NORMAL syncs at checkpoints alone, and a commit
may vanish when the power fails; a truth must not, once acknowledged. FULL syncs the log at each commit. It
is used for predictions too: the journal writes them in batches, one sync a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateColumn

from deployments.errors import Unavailable
from deployments.store.schema import metadata

BUSY_TIMEOUT_S = 10.0
_WRITES = "raysonde_writes"
_WRITER_LOCK = 0x7261_7973  # any number that other users of the database do not lock


class StoreUnavailable(Unavailable):
    """The database cannot be reached, or stayed locked; what was to be written is not there."""


def open_engine(url: str) -> Engine:
    """An engine for the URL. Connects to nothing yet."""
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(
        url,
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        connect_args={"timeout": BUSY_TIMEOUT_S} if is_sqlite else {},
        pool_pre_ping=not is_sqlite,
    )
    if is_sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def create_tables(engine: Engine) -> None:
    """Make the database, its tables and their columns where they lack; safe in several processes at once."""
    if engine.dialect.name == "sqlite":
        assert engine.url.database, "a store in memory would be one database a connection"
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with translated(), engine.connect() as connection:
            # WAL is a property of the file, and cannot be set within a transaction
            connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
    with writing(engine) as connection:
        metadata.create_all(connection)
        _add_columns(connection)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer runs beside; committed at the end."""
    with (
        translated(),
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; it never waits for a writer."""
    with translated(), engine.connect() as connection:
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Tell a database that is not there from a statement that is wrong."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreUnavailable(f"the store cannot be used now: {cause}") from error


def _add_columns(connection: Connection) -> None:
    """What tables of an older version lack."""
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # transactions begin where `_begin_sqlite` says, not where sqlite3 thinks
    )
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
