"""Truths and their joins, within a transaction. Writers take turns: reading first loses no update."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, and_, insert, or_, select

from deployments.store import waiting_truths
from deployments.store.records import FeedbackCounts, Truth
from deployments.store.reused_ids import IS_UNAMBIGUOUS
from deployments.store.sql.padded_in_lists import padded_in_lists
from deployments.store.sql.schema import joins, predictions, repeated_truths, truths
from deployments.store.sql.upsert import insert_new

_MATCH = and_(
    predictions.c.workload == truths.c.workload,
    predictions.c.id == truths.c.id,
    IS_UNAMBIGUOUS,
    predictions.c.probe.is_(False),
    # who guesses an id that is to come needs no answer
    or_(truths.c.with_key, truths.c.received_at >= predictions.c.created_at),
)


def write(
    connection: Connection, workload: str, calls: Sequence[Sequence[Truth]], now: datetime
) -> list[FeedbackCounts]:
    """Add the truths of several calls, and return the counts of each, as of calls one after another."""
    standing = _values(connection, workload, list({item.id for call in calls for item in call}))
    new: list[dict[str, Any]] = []
    repeated: list[dict[str, Any]] = []
    firsts: list[list[str]] = []
    conflicts: list[int] = []
    for call in calls:
        firsts_before, repeated_before = len(new), len(repeated)
        for item in call:
            row = vars(item) | {"workload": workload, "received_at": now}
            if item.id in standing:
                repeated.append(row | {"conflicts": _as_read(item.value) != standing[item.id]})
            else:
                standing[item.id] = _as_read(item.value)
                new.append(row)
        firsts.append([row["id"] for row in new[firsts_before:]])
        conflicts.append(sum(row["conflicts"] for row in repeated[repeated_before:]))
    if new:
        connection.execute(insert(truths), new)
    if repeated:
        connection.execute(insert(repeated_truths), repeated)
    joined = join(connection, workload, [row["id"] for row in new])
    waiting_truths.add(connection, workload, [row["id"] for row in new if row["id"] not in joined], now)
    return [
        _counts(len(call), own, len(joined.intersection(own)), conflicting)
        for call, own, conflicting in zip(calls, firsts, conflicts, strict=True)
    ]


def join(connection: Connection, workload: str, ids: Sequence[str]) -> set[str]:
    """Complete the pairs among `ids` that have both halves now, and return the ids of the new ones."""
    joined: set[str] = set()
    for part in padded_in_lists(ids):
        pairs = (
            select(truths.c.workload, truths.c.id)
            .join(predictions, _MATCH)
            .where(truths.c.workload == workload, truths.c.id.in_(part))
        )
        statement = (
            insert_new(connection.dialect, joins).from_select(["workload", "id"], pairs).returning(joins.c.id)
        )
        joined.update(connection.scalars(statement))
    return joined


def _counts(items: int, firsts: Sequence[str], joined: int, conflicting: int) -> FeedbackCounts:
    return FeedbackCounts(joined, items - len(firsts), len(firsts) - joined, conflicting)


def _as_read(value: Any) -> Any:
    """Return the value as it will be read back, for comparison with stored ones."""
    return orjson.loads(orjson.dumps(value))


def _values(connection: Connection, workload: str, ids: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in padded_in_lists(ids):
        query = select(truths.c.id, truths.c.value).where(
            truths.c.workload == workload, truths.c.id.in_(part)
        )
        found |= {row.id: row.value for row in connection.execute(query)}
    return found
