"""Pairs of prediction and truth for the errors of ensembles: by cursor, and without the payloads."""

from __future__ import annotations

from sqlalchemy import Connection, select

from deployments.store.records import LabelledRow
from deployments.store.sql.cursor import after_cursor, join_pairs
from deployments.store.sql.schema import joins, predictions, truths


def read(connection: Connection, workload: str, after: int, limit: int) -> list[LabelledRow]:
    """Return the pairs of prediction and truth completed after the cursor, in that order."""
    named = predictions.c
    columns = (
        joins.c.seq,
        named.bundle,
        named.prediction,
        named.interval,
        named.coverage,
        named.members,
        truths.c.value.label("truth"),
    )
    query = after_cursor(join_pairs(select(*columns)), joins, workload, after, limit)
    return [LabelledRow(**row._mapping) for row in connection.execute(query)]


def tail(connection: Connection, workload: str, rows: int) -> int:
    """Return the cursor after which the last `rows` pairs lie; one walk along the end of the index."""
    query = (
        select(joins.c.seq)
        .where(joins.c.workload == workload)
        .order_by(joins.c.seq.desc())
        .offset(rows)
        .limit(1)
    )
    return connection.scalar(query) or 0
