"""The tables of the store, for SQLite and PostgreSQL.

Every key is (workload, id), since ids may be a client's own and two clients may count from 1. `seq` columns
are cursors: they never repeat, and rows become visible in their order (see `Store`).

A change here takes a new file in `migrations/versions`, which brings a store that is there to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    true,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which knows no zones, keeps it as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, and reject a time without a zone: it would be ambiguous."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time: got {value.isoformat()} without a zone, expected one")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()


def seq_column() -> Column[Any]:
    """Make the column with the cursor of a table."""
    # SQLite counts by itself only for its own INTEGER
    return Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


predictions = Table(
    "predictions",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("entity", String(260), nullable=False),
    Column("arm", String(64), nullable=False),
    # that of an ensemble names those of its members
    Column("model_version", String(64).with_variant(Text, "postgresql"), nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("schema_version", String(32), nullable=False),
    Column("named", Boolean, nullable=False),
    Column("fallback", Boolean, nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("prediction", JSON, nullable=False),
    Column("interval", JSON, nullable=False),
    Column("coverage", Float, nullable=False),
    Column("filled", JSON, nullable=False),
    Column("payload", Text, nullable=False),
    Column("members", JSON(none_as_null=True)),
    Column("outlier_score", Float),
    Column("cached", Boolean),
    Column("level", Float),
    # When another instance was answered under the id. Truths that came later could be of either.
    Column("reused_at", UtcDateTime),
    Column("probe", Boolean, nullable=False, server_default=false()),
    Column("sent_by", String(120)),
    UniqueConstraint("workload", "id"),
    Index("predictions_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

truths = Table(
    "truths",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("observed_at", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("sent_by", String(120)),
    Column("with_key", Boolean, nullable=False, server_default=true()),
)

# Truths that have no prediction yet, in the order in which they came.
waiting_truths = Table(
    "waiting_truths",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("workload", "id"),
    Index("waiting_truths_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

repeated_truths = Table(
    "repeated_truths",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("value", JSON, nullable=False),
    Column("observed_at", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("conflicts", Boolean, nullable=False),
    Column("sent_by", String(120)),
    Column("with_key", Boolean, nullable=False, server_default=true()),
    Index("repeated_truths_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

# One row for each prediction that has its truth, written with whichever of the two came last.
joins = Table(
    "joins",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    UniqueConstraint("workload", "id"),
    Index("joins_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

routing = Table(
    "routing",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("policy", JSON(none_as_null=True)),
    Column("arms", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("shadows", JSON(none_as_null=True)),
    Column("previous", JSON(none_as_null=True)),
    Column("held_back", JSON(none_as_null=True)),
)

# The last samples of each entity of the workloads that keep them.
histories = Table(
    "histories",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("entity", String(260), primary_key=True),
    Column("samples", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("histories_by_age", "workload", "updated_at"),
)

audit_events = Table(
    "acts",
    metadata,
    seq_column(),
    Column("at", UtcDateTime, nullable=False),
    Column("workload", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("acts_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

# Changes of state of the Monitor's detectors; one row a change.
drift_events = Table(
    "drift_events",
    metadata,
    seq_column(),
    Column("at", UtcDateTime, nullable=False),
    Column("workload", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Index("drift_events_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)

# The last page of the Monitor for each workload, for the router replicas to show; how far it had read, and
# the state that it could not learn again from the journal.
monitor_pages = Table(
    "monitor_pages",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("page", JSON, nullable=False),
    Column("cursors", JSON, nullable=False),
    Column("state", JSON, nullable=False),
)

# The level at which each arm is to make its regions now, as the Monitor has learnt it for that bundle.
levels = Table(
    "levels",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("arm", String(64), primary_key=True),
    Column("bundle", String(80), nullable=False),
    Column("level", Float, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("workload", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("html_zlib", LargeBinary, nullable=False),
)

# Requests that were rejected for their content, counted by a router replica since its row before.
refusals = Table(
    "refusals",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("requests", Integer, nullable=False),
    Index("refusals_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)
