"""Truths without a prediction are listed, so that they can be bounded in number and age."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    column,
    insert,
    select,
    table,
)

revision = "0006"
down_revision = "0005"

_waiting = Table(
    "waiting_truths",
    MetaData(),
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("workload", "id"),
    Index("waiting_truths_by_cursor", "workload", "seq"),
    sqlite_autoincrement=True,
)
_truths = table("truths", column("workload"), column("id"), column("received_at"))
_joins = table("joins", column("workload"), column("id"))


def upgrade() -> None:
    """Make the table, and list the truths that wait."""
    connection = op.get_bind()
    _waiting.create(connection)
    pair = and_(_joins.c.workload == _truths.c.workload, _joins.c.id == _truths.c.id)
    waiting = (
        select(_truths.c.workload, _truths.c.id, _truths.c.received_at)
        .select_from(_truths.outerjoin(_joins, pair))
        .where(_joins.c.id.is_(None))
        .order_by(_truths.c.received_at)
    )
    connection.execute(insert(_waiting).from_select(["workload", "id", "received_at"], waiting))
