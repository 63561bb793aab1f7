"""Queries of the journal: rows after a cursor, and the two halves of a pair."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Select, Table, and_

from deployments.store.sql.schema import joins, predictions, truths

Q = TypeVar("Q", bound=Select)  # type: ignore[type-arg]  # whatever columns it has

TRUTH_OF_PAIR = and_(truths.c.workload == joins.c.workload, truths.c.id == joins.c.id)
PREDICTION_OF_PAIR = and_(predictions.c.workload == joins.c.workload, predictions.c.id == joins.c.id)


def after_cursor(query: Q, table: Table, workload: str, after: int, limit: int) -> Q:
    """Narrow a query to the rows of a workload after the cursor, oldest first.

    Args:
        query: over `table`.
        table: has the columns `workload` and `seq`.
        after: a `seq`.
        limit: most rows.
    """
    columns = table.c
    mine = query.where(columns.workload == workload, columns.seq > after)
    return mine.order_by(columns.seq).limit(limit)


def join_pairs(query: Q) -> Q:
    """Join the truth and the prediction of each row of `joins`."""
    return query.join_from(joins, truths, TRUTH_OF_PAIR).join(predictions, PREDICTION_OF_PAIR)
