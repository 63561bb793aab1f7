"""The tables as they were before there were migrations: made anew, or completed where they are older.

Until then a start made the tables that were missing, and added columns that may be null.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Index,
    Inspector,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
)

revision = "0001"
down_revision = None

_TIME = DateTime(timezone=True)
# of what may not be null and was not there in every older version: a Monitor that knows nothing yet
_DEFAULTS = {("monitor_pages", "state"): "{}"}

_metadata = MetaData()


def upgrade() -> None:
    """Make or complete each table."""
    connection = op.get_bind()
    inspector = inspect(connection)
    for table in _metadata.sorted_tables:
        if inspector.has_table(table.name):
            _complete(connection, inspector, table)
        else:
            table.create(connection)


def _complete(connection: Connection, inspector: Inspector, table: Table) -> None:
    there = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
    for column in table.columns:
        name, kind = column.name, column.type
        if name not in there:
            default = _DEFAULTS.get((table.name, name))
            added: Column[Any] = Column(name, kind, nullable=column.nullable, server_default=default)
            op.add_column(table.name, added)
        elif connection.dialect.name == "postgresql" and _is_shorter(there[name], kind):
            op.alter_column(table.name, name, type_=kind)
    for index in table.indexes:
        index.create(connection, checkfirst=True)


def _is_shorter(there: Any, wanted: Any) -> bool:
    """Return whether a type of text is shorter than another; SQLite ignores lengths."""
    length, wanted_length = getattr(there, "length", None), getattr(wanted, "length", None)
    return length is not None and wanted_length is not None and length < wanted_length


def _seq() -> Column[Any]:
    return Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


Table(
    "predictions",
    _metadata,
    _seq(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("entity", String(260), nullable=False),
    Column("arm", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("schema_version", String(32), nullable=False),
    Column("named", Boolean, nullable=False),
    Column("fallback", Boolean, nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("prediction", JSON, nullable=False),
    Column("interval", JSON, nullable=False),
    Column("coverage", Float, nullable=False),
    Column("filled", JSON, nullable=False),
    Column("payload", Text, nullable=False),
    Column("members", JSON),
    Column("outlier_score", Float),
    Column("cached", Boolean),
    Column("level", Float),
    UniqueConstraint("workload", "id"),
    Index("predictions_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

Table(
    "truths",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("observed_at", _TIME),
    Column("received_at", _TIME, nullable=False),
)

Table(
    "repeated_truths",
    _metadata,
    _seq(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("value", JSON, nullable=False),
    Column("observed_at", _TIME),
    Column("received_at", _TIME, nullable=False),
    Column("conflicts", Boolean, nullable=False),
    Index("repeated_truths_by_workload", "workload"),
    sqlite_autoincrement=True,
)

Table(
    "joins",
    _metadata,
    _seq(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    UniqueConstraint("workload", "id"),
    Index("joins_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

Table(
    "routing",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("policy", JSON),
    Column("arms", JSON, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("shadows", JSON),
    Column("previous", JSON),
)

Table(
    "histories",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("entity", String(260), primary_key=True),
    Column("samples", JSON, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Index("histories_by_age", "workload", "updated_at"),
)

Table(
    "acts",
    _metadata,
    _seq(),
    Column("at", _TIME, nullable=False),
    Column("workload", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("acts_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

Table(
    "drift_events",
    _metadata,
    _seq(),
    Column("at", _TIME, nullable=False),
    Column("workload", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Index("drift_events_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

Table(
    "monitor_pages",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("page", JSON, nullable=False),
    Column("cursors", JSON, nullable=False),
    Column("state", JSON, nullable=False),
)

Table(
    "levels",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("arm", String(64), primary_key=True),
    Column("bundle", String(80), nullable=False),
    Column("level", Float, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

Table(
    "drift_reports",
    _metadata,
    Column("workload", String(64), primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("html_zlib", LargeBinary, nullable=False),
)

Table(
    "refusals",
    _metadata,
    _seq(),
    Column("workload", String(64), nullable=False),
    Column("at", _TIME, nullable=False),
    Column("requests", Integer, nullable=False),
    Index("refusals_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

Table(
    "shadow_answers",
    _metadata,
    _seq(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("arm", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("prediction", JSON, nullable=False),
    Column("interval", JSON, nullable=False),
    Column("coverage", Float, nullable=False),
    UniqueConstraint("workload", "id", "bundle"),
    Index("shadow_answers_by_time", "workload", "arm", "bundle", "created_at", "seq"),
    sqlite_autoincrement=True,
)

for _name, _also in {"retrainings": (), "promotions": ("arm", "model_version")}.items():
    Table(
        _name,
        _metadata,
        Column("id", String(64), primary_key=True),
        Column("workload", String(64), nullable=False),
        Column("is_open", Boolean, nullable=False),
        Column("created_at", _TIME, nullable=False),
        *(Column(also, String(64), nullable=False) for also in _also),
        Column("content", JSON, nullable=False),
        Index(f"{_name}_by_workload", "workload", "created_at"),
    )
