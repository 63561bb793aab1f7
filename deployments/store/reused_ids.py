"""Ids that were used for two instances, within a transaction.

The first prediction stays. It gets no truth that came after the second was answered, since that could be of
either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from deployments.domain.instances import is_same_instance
from deployments.store.records import PredictionRecord
from deployments.store.sql.padded_in_lists import padded_in_lists
from deployments.store.sql.schema import joins, predictions, truths

# Of a prediction and the truth of its id: whether the truth is of that prediction.
IS_UNAMBIGUOUS = or_(predictions.c.reused_at.is_(None), truths.c.received_at < predictions.c.reused_at)


def read_payloads(connection: Connection, workload: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the instances of those of these ids that are in the journal."""
    found: dict[str, str] = {}
    for part in padded_in_lists(ids):
        query = select(predictions.c.id, predictions.c.payload).where(
            predictions.c.workload == workload, predictions.c.id.in_(part)
        )
        found |= {row.id: row.payload for row in connection.execute(query)}
    return found


def mark(connection: Connection, workload: str, rows: Sequence[PredictionRecord]) -> list[str]:
    """Mark the ids of rows that are in the journal with another instance, and return them, one a row.

    A row that was written before, and one of an instance that was sent again, is none of them.
    """
    payloads = read_payloads(connection, workload, list({row.id for row in rows}))
    others = [row for row in rows if not is_same_instance(payloads[row.id], row.payload)]
    reused_at: dict[str, datetime] = {}
    for row in others:
        reused_at[row.id] = min(row.created_at, reused_at.get(row.id, row.created_at))
    if reused_at:
        _write(connection, workload, reused_at)
    return [row.id for row in others]


def _write(connection: Connection, workload: str, reused_at: dict[str, datetime]) -> None:
    parameters = [{"of": id_, "at": at} for id_, at in reused_at.items()]
    mine = predictions.c
    earlier = or_(mine.reused_at.is_(None), mine.reused_at > bindparam("at"))
    where = (mine.workload == workload) & (mine.id == bindparam("of")) & earlier
    connection.execute(update(predictions).where(where).values(reused_at=bindparam("at")), parameters)
    # a truth may have come before the second prediction was written, and after it was answered
    late = select(truths.c.id).where(
        truths.c.workload == workload, truths.c.id == bindparam("of"), truths.c.received_at >= bindparam("at")
    )
    connection.execute(delete(joins).where(joins.c.workload == workload, joins.c.id.in_(late)), parameters)
