"""The engine of the database and its transactions, the same way for SQLite and PostgreSQL.

Writers take turns: BEGIN IMMEDIATE on SQLite, one advisory lock on PostgreSQL. So nothing that a writer has
read changes before it commits, and rows become visible in the order of their `seq`: a reader by cursor
misses none. A reader sees one moment, however many queries it makes, and waits for nobody.

SQLite runs in WAL mode with synchronous=FULL. In WAL mode NORMAL syncs at checkpoints alone, and a commit
may vanish when the power fails; a truth must not, once acknowledged. FULL syncs the log at each commit, as
PostgreSQL does by default. It is used for predictions too: the journal writes them in batches, one sync a
batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from deployments.domain.errors import Unavailable
from training.runtime.settings import without_password

BUSY_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5
_WRITES = "raysonde_writes"
_WRITER_LOCK = 0x7261_7973  # any number that other users of the database do not lock

# For libpq. A server that is gone without a word is noticed: the system's own limits are hours.
_POSTGRESQL_CONNECTION: Mapping[str, Any] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": int(1000 * BUSY_TIMEOUT_S),
    "application_name": "raysonde",
    # PGCLIENTENCODING may say otherwise
    "client_encoding": "UTF8",
}
_ENCODING = "UTF8"
SYNCHRONOUS = "FULL"
# In a writer's transaction. The lock of one whose machine is gone is free again after the second.
POSTGRESQL_WRITER = {
    "lock_timeout": int(1000 * BUSY_TIMEOUT_S),
    "idle_in_transaction_session_timeout": int(3000 * BUSY_TIMEOUT_S),
}
# A writer has to see what was committed while it waited for its turn.
_OPTIONS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sqlite": ({_WRITES: True}, {}),
    "postgresql": (
        {"isolation_level": "READ COMMITTED"},
        {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    ),
}
_READ_ONLY = "25006"  # SQLSTATE of what cannot be written to, such as a standby


class StoreUnavailable(Unavailable):
    """The database cannot be reached, or stayed locked; nothing was written."""


class StoreIncompatible(RuntimeError):
    """The database does not fit this version's store; the message says what to do."""


class StoreEncoding(StoreIncompatible):
    """A database of PostgreSQL that cannot hold every text; the message shows no password."""


def open_engine(url: str) -> Engine:
    """Make an engine for the URL, sqlite:///PATH or postgresql://...; it connects at the first use.

    A connection raises StoreEncoding where the database is not in UTF-8.

    Raises:
        ValueError: it is neither; the message shows no password.
    """
    expected = "expected sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # not chained: it quotes what follows the first `@`, which may be of the password
        raise ValueError(f"store: the URL is none, {expected}") from None
    kind = parsed.drivername.partition("+")[0]
    if kind not in _OPTIONS:
        raise ValueError(f"store: got {without_password(url)}, {expected}")
    if parsed.password is not None and "@" in f"{parsed.host}{parsed.database}":
        # what follows would be taken for a host, and errors of the connection name hosts
        raise ValueError(
            f"store: got {without_password(url)} with a raw @ in the password, expected it encoded as %40"
        )
    engine = create_engine(
        _with_driver(parsed),
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        connect_args=connect_args(parsed),
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=kind == "postgresql",
    )
    if kind == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        # before SQLAlchemy's own questions, whose answers would be bytes
        event.listen(engine, "connect", partial(_expect_encoding, without_password(url)), insert=True)
        event.listen(engine, "connect", _configure_postgresql)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that no other writer runs beside; it is committed at the end."""
    options, _ = _OPTIONS[engine.dialect.name]
    with (
        translate_errors(),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            settings = (func.set_config(name, str(ms), True) for name, ms in POSTGRESQL_WRITER.items())
            connection.execute(select(*settings, func.pg_advisory_xact_lock(_WRITER_LOCK)))
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads, all of one moment; it never waits for a writer."""
    _, options = _OPTIONS[engine.dialect.name]
    with translate_errors(), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise StoreUnavailable where the database is away, and leave the errors of statements as they are."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if not _is_away(error):
            raise
        cause = getattr(error, "orig", None) or error
        raise StoreUnavailable(f"the store cannot be used now: {cause}") from error


def _is_away(error: DBAPIError | PoolTimeoutError) -> bool:
    if not isinstance(error, DBAPIError) or isinstance(error, OperationalError | InterfaceError):
        return True
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) == _READ_ONLY


def _with_driver(url: URL) -> URL:
    """Set psycopg 3 as the driver of PostgreSQL, unless the URL names another."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def connect_args(url: URL) -> dict[str, Any]:
    """Return the driver's options beside the URL, which has the last word."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": BUSY_TIMEOUT_S}
    return {name: value for name, value in _POSTGRESQL_CONNECTION.items() if name not in url.query}


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # transactions begin where `_begin_sqlite` says, not where sqlite3 thinks
    )
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
    cursor.close()


def _expect_encoding(shown_url: str, connection: Any, _record: Any) -> None:
    found = connection.info.parameter_status("server_encoding")
    if found == _ENCODING:
        return
    connection.close()
    raise StoreEncoding(
        f"store: the database at {shown_url} has the encoding {found}, expected {_ENCODING}. It cannot be"
        f" changed: make another one (CREATE DATABASE raysonde ENCODING '{_ENCODING}' TEMPLATE template0)"
        " and name it in RAYSONDE_STORE_URL"
    )


def _configure_postgresql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        # a plan that is kept from when the journal was empty would walk through the journal that there is now
        cursor.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
