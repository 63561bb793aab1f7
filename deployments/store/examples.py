"""Training examples from the journal: instances with their truths, by an exact query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from deployments.store.sql.cursor import PREDICTION_OF_PAIR, join_pairs
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import joins, predictions, truths
from training.runtime.journal_query import Example, JournalQuery


class StoreJournal:
    """The `training.runtime.journal_query.Journal` of a store. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine, target: str) -> None:
        self._engine = engine
        self._target = target

    def examples(self, query: JournalQuery, after: int, limit: int) -> Sequence[Example]:
        """Implement `Journal.examples`."""
        named = predictions.c
        columns = (joins.c.seq, named.id, named.entity, named.payload, named.created_at, truths.c.value)
        statement = _matching(select(*columns), query, max(after, query.after))
        with reading(self._engine) as connection:
            rows = connection.execute(statement.order_by(joins.c.seq).limit(limit)).all()
        return [
            Example(row.seq, row.id, row.entity, row.payload, row.created_at, row.value.get(self._target))
            for row in rows
        ]

    def count(self, query: JournalQuery, most: int) -> int:
        """Count the pairs of the query; `most` stands for any larger number."""
        # in the order of an index: without one PostgreSQL may go through all pairs of the workload for `most`
        ordered = _matching(select(joins.c.seq), query, query.after).order_by(joins.c.seq)
        some = ordered.limit(most).subquery()
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(some)) or 0

    def newest(
        self, workload: str, schema_version: str, rows: int, since: datetime | None = None
    ) -> JournalQuery:
        """Return the query for the present last `rows` pairs; those made before `since` are left out."""
        with reading(self._engine) as connection:
            until = _last(connection, workload)
            everything = JournalQuery(
                workload=workload, schema_version=schema_version, after=0, until=until, since=since
            )
            oldest = _matching(select(joins.c.seq), everything, 0).order_by(joins.c.seq.desc()).offset(rows)
            after = connection.scalar(oldest.limit(1)) or 0
        return everything.model_copy(update={"after": after})

    def first_at(self, workload: str) -> datetime | None:
        """Return the time of the prediction of the first pair; None before there is one."""
        first = (
            select(predictions.c.created_at)
            .join_from(joins, predictions, PREDICTION_OF_PAIR)
            .where(joins.c.workload == workload)
            .order_by(joins.c.seq)
            .limit(1)
        )
        with reading(self._engine) as connection:
            return connection.scalar(first)


def _last(connection: Connection, workload: str) -> int:
    return connection.scalar(select(func.max(joins.c.seq)).where(joins.c.workload == workload)) or 0


def _matching(statement: Select[Any], query: JournalQuery, after: int) -> Select[Any]:
    """Join the pairs, and keep those of the query."""
    matching = join_pairs(statement).where(
        joins.c.workload == query.workload,
        joins.c.seq > after,
        joins.c.seq <= query.until,
        predictions.c.schema_version == query.schema_version,
    )
    return matching if query.since is None else matching.where(predictions.c.created_at >= query.since)
