"""Every store that there may be comes to the tables of today, and no row is lost on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    column,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import ProgrammingError

from deployments.store import Store, StoreTooNew, StoreUnavailable
from deployments.store.migrations.runner import configuration, migrate
from deployments.store.migrations.upgrade import REVISION_TABLE, REVISIONS, create_tables, read_revision
from deployments.store.sql.engine import open_engine, reading, writing
from deployments.store.sql.schema import metadata
from tests.support.records import row

_FIRST = {"predictions", "truths", "repeated_truths", "joins", "acts", "routing"}
_MONITOR = {"drift_events", "monitor_pages", "drift_reports"}
_ADDED = {
    "predictions": {"members", "outlier_score", "cached", "level"},
    "routing": {"shadows", "previous"},
    "monitor_pages": {"state"},
}
# Tables from before there were revisions: those that there were, and the columns that they did not have yet.
OLDER: Mapping[str, tuple[set[str], Mapping[str, set[str]]]] = {
    "the first": (_FIRST, _ADDED),
    "the first with a Monitor": (
        _FIRST | _MONITOR | {"histories"},
        _ADDED | {"predictions": {"level"}},
    ),
    "the first with shadows": (
        _FIRST | _MONITOR | {"histories", "refusals", "shadow_answers", "retrainings"},
        {"predictions": {"level"}},
    ),
}
# what a column of a type holds; of JSON where none of them is the type
VALUES: tuple[tuple[Any, object], ...] = (
    (String, "text"),
    (Boolean, True),
    (Integer, 7),
    (Float, 0.5),
    (DateTime, datetime(2026, 1, 1, tzinfo=UTC)),
    (LargeBinary, b"\x00\xff"),
)
Rows = list[dict[str, Any]]


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    made = open_engine(empty_url)
    yield made
    made.dispose()


def test_revisions_are_those_of_alembic() -> None:
    known = ScriptDirectory.from_config(configuration()).walk_revisions()
    assert tuple(one.revision for one in known)[::-1] == REVISIONS


def test_the_migrations_make_what_the_code_expects(engine: Engine) -> None:
    create_tables(engine)
    assert_current(engine)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_store_of_every_revision_keeps_its_rows(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        migrate(connection, revision)
        before = fill(connection)
    create_tables(engine)
    assert_current(engine)
    assert_kept(engine, before)


@pytest.mark.parametrize("older", OLDER)
def test_a_store_from_before_revisions_keeps_its_rows(engine: Engine, older: str) -> None:
    with writing(engine) as connection:
        make_older(connection, older)
        before = fill(connection)
    assert set(before) == OLDER[older][0]
    for _ in range(2):
        create_tables(engine)
    assert_current(engine)
    assert_kept(engine, before)


def test_a_store_of_an_older_version_takes_what_is_written_today(engine: Engine) -> None:
    with writing(engine) as connection:
        make_older(connection, "the first")
    create_tables(engine)
    with closing(Store(engine.url.render_as_string(hide_password=False))) as store:
        members = {"mlp": {"bundle": "sha256:00", "prediction": {"apogee_m": 1.0}}}
        new = row(1)._replace(members=members, entity="A/" * 100, model_version="mlp:1+" * 20, level=0.95)
        store.write_predictions([new])
        assert store.predictions("apogee") == [(1, new)]


def test_a_migration_that_fails_leaves_the_store_as_it_was(engine: Engine) -> None:
    with writing(engine) as connection:
        make_older(connection, "the first")
        before = fill(connection)
        connection.execute(text("CREATE INDEX repeated_truths_by_cursor ON acts (at)"))
    with pytest.raises((StoreUnavailable, ProgrammingError), match="already exists"):
        create_tables(engine)
    with reading(engine) as connection:
        assert read_revision(connection) is None
        assert set(inspect(connection).get_table_names()) == set(before)
    assert_kept(engine, before)


def test_a_store_of_a_later_version_is_refused_and_left_alone(engine: Engine) -> None:
    create_tables(engine)
    with writing(engine) as connection:
        connection.execute(update(table(REVISION_TABLE, column("version_num"))).values(version_num="0999"))
    with pytest.raises(StoreTooNew, match=f"the store has revision 0999, .* up to {REVISIONS[-1]}"):
        create_tables(engine)
    with reading(engine) as connection:
        assert read_revision(connection) == "0999"


def test_a_start_that_finds_nothing_to_do_imports_no_alembic(store_url: str) -> None:
    code = (
        "import sys; from deployments.store import Store; Store(sys.argv[1]).create_tables();"
        " print(*{'alembic', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, store_url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == (["psycopg"] if store_url.startswith("postgresql") else [])


def assert_current(engine: Engine) -> None:
    """No difference between the tables that there are and those of the code."""
    options = {"compare_type": True, "version_table": REVISION_TABLE}
    with reading(engine) as connection:
        assert read_revision(connection) == REVISIONS[-1]
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def assert_kept(engine: Engine, before: Mapping[str, Rows]) -> None:
    with reading(engine) as connection:
        for name, rows in before.items():
            assert rows_of(connection, name, rows[0].keys()) == rows


def make_older(connection: Connection, older: str) -> None:
    """Tables as an old version has made them, found from those of the first revision."""
    migrate(connection, "0001")
    names, lacking = OLDER[older]
    for name in set(inspect(connection).get_table_names()) - names:
        connection.execute(text(f"DROP TABLE {name}"))
    for name in names & lacking.keys():
        for one in lacking[name]:
            connection.execute(text(f"ALTER TABLE {name} DROP COLUMN {one}"))
    connection.execute(text("DROP INDEX acts_by_cursor"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE predictions ALTER entity TYPE VARCHAR(64)"))


def fill(connection: Connection) -> dict[str, Rows]:
    """Two rows in each table; what is in them."""
    tables = MetaData()
    tables.reflect(connection)
    found = {}
    for one in tables.sorted_tables:
        if one.name != REVISION_TABLE:
            connection.execute(one.insert(), [row_for(one, number) for number in (1, 2)])
            found[one.name] = rows_of(connection, one.name, one.columns.keys())
    return found


def rows_of(connection: Connection, name: str, columns: Iterable[str]) -> Rows:
    there = Table(name, MetaData(), autoload_with=connection)
    rows = connection.execute(select(*(there.c[one] for one in columns)))
    return sorted((dict(one._mapping) for one in rows), key=str)


def row_for(there: Table, number: int) -> dict[str, Any]:
    """Of a table, with keys of its own."""
    keys = {one.name for key in there.constraints for one in getattr(key, "columns", ())}
    return {one.name: value_for(one, number, one.name in keys) for one in there.columns}


def value_for(one: Column[Any], number: int, is_key: bool) -> object:
    if one.name == "seq":
        return number
    if is_key:
        return str(number)
    value = next((value for kind, value in VALUES if isinstance(one.type, kind)), None)
    return {"is": one.name} if value is None else value
