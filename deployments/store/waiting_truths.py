"""Truths that have no prediction yet, within a transaction: few enough, and not for ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, delete, select

from deployments.store.sql.padded_in_lists import padded_in_lists
from deployments.store.sql.schema import truths, waiting_truths
from deployments.store.sql.upsert import insert_new

# of a workload; whoever sends more loses the oldest
MOST_WAITING = 100_000
# A router replica may hold predictions for as long as it has no store.
LONGEST_WAIT = timedelta(days=7)
# Taken from the oldest end at a time, beside as many as are added.
_MORE = 1000


def add(connection: Connection, workload: str, ids: Sequence[str], now: datetime) -> None:
    """List truths without a prediction; delete the oldest beyond MOST_WAITING, and those of long ago."""
    if not ids:
        return
    rows = [{"workload": workload, "id": id_, "received_at": now} for id_ in ids]
    connection.execute(insert_new(connection.dialect, waiting_truths), rows)
    columns = waiting_truths.c
    mine = columns.workload == workload
    newest = select(columns.seq).where(mine).order_by(columns.seq.desc()).offset(MOST_WAITING).limit(1)
    last_seq = connection.scalar(newest) or 0
    oldest = select(columns.seq, columns.id, columns.received_at).where(mine).order_by(columns.seq)
    over = [
        row.id
        for row in connection.execute(oldest.limit(len(ids) + _MORE))
        if row.seq <= last_seq or row.received_at < now - LONGEST_WAIT
    ]
    _delete(connection, truths, workload, over)
    _delete(connection, waiting_truths, workload, over)


def remove(connection: Connection, workload: str, ids: Collection[str]) -> None:
    """Take truths off the list, since they have their predictions."""
    _delete(connection, waiting_truths, workload, list(ids))


def _delete(connection: Connection, table: Table, workload: str, ids: Sequence[str]) -> None:
    for part in padded_in_lists(ids):
        connection.execute(delete(table).where(table.c.workload == workload, table.c.id.in_(part)))
