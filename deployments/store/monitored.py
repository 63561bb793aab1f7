"""Rows of the journal for the Monitor: by cursors, each with the few columns that monitoring needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, select

from deployments.store.sql.cursor import TRUTH_OF_PAIR, after_cursor, join_pairs
from deployments.store.sql.schema import joins, predictions, refusals, repeated_truths, truths


@dataclass(frozen=True)
class MonitoredPrediction:
    """An answer. `seq` is the cursor to read on from; the rest is as in `PredictionRecord`."""

    seq: int
    entity: str
    arm: str
    model_version: str
    bundle: str
    fallback: bool
    created_at: datetime
    prediction: dict[str, Any]
    filled: dict[str, int]
    payload: str
    outlier_score: float | None
    probe: bool = False


@dataclass(frozen=True)
class MonitoredTruth:
    """An answer with its truth, of which there is one an answer. `seq` is the cursor to read on from.

    Attributes:
        created_at: of the answer.
        received_at: of the truth; before `created_at` where the truth was there first.
        level: as in `PredictionRecord`.
    """

    seq: int
    arm: str
    bundle: str
    created_at: datetime
    received_at: datetime
    prediction: dict[str, Any]
    interval: dict[str, Any]
    coverage: float
    truth: dict[str, Any]
    level: float | None = None


@dataclass(frozen=True)
class MonitoredRepeat:
    """A truth after the first of its id. `seq` is the cursor to read on from."""

    seq: int
    received_at: datetime
    conflicts: bool


@dataclass(frozen=True)
class MonitoredRejections:
    """A count of requests that were rejected until then. `seq` is the cursor to read on from."""

    seq: int
    at: datetime
    requests: int


@dataclass(frozen=True)
class Cursors:
    """The last row of each table that was read: all up to these numbers, and none beyond."""

    predictions: int = 0
    joins: int = 0
    repeats: int = 0
    refusals: int = 0


def read_predictions(
    connection: Connection, workload: str, after: int, limit: int
) -> list[MonitoredPrediction]:
    """Return the answers written after the cursor, oldest first."""
    columns = [predictions.c[name] for name in MonitoredPrediction.__dataclass_fields__]
    query = after_cursor(select(*columns), predictions, workload, after, limit)
    return [MonitoredPrediction(*row) for row in connection.execute(query)]


def read_truths(connection: Connection, workload: str, after: int, limit: int) -> list[MonitoredTruth]:
    """Return the pairs completed after the cursor, in that order."""
    named = predictions.c
    columns: list[Column[Any]] = [
        joins.c.seq,
        named.arm,
        named.bundle,
        named.created_at,
        truths.c.received_at,
        named.prediction,
        named.interval,
        named.coverage,
        truths.c.value,
        named.level,
    ]
    query = after_cursor(join_pairs(select(*columns)), joins, workload, after, limit)
    return [MonitoredTruth(*row) for row in connection.execute(query)]


def read_repeats(connection: Connection, workload: str, after: int, limit: int) -> list[MonitoredRepeat]:
    """Return the repeated truths received after the cursor, in that order."""
    named = repeated_truths.c
    query = select(named.seq, named.received_at, named.conflicts)
    query = after_cursor(query, repeated_truths, workload, after, limit)
    return [MonitoredRepeat(*row) for row in connection.execute(query)]


def read_rejections(
    connection: Connection, workload: str, after: int, limit: int
) -> list[MonitoredRejections]:
    """Return the counts of rejected requests written after the cursor, in that order."""
    named = refusals.c
    query = select(named.seq, named.at, named.requests)
    query = after_cursor(query, refusals, workload, after, limit)
    return [MonitoredRejections(*row) for row in connection.execute(query)]


def latest_payloads(connection: Connection, workload: str, since: datetime, limit: int) -> list[str]:
    """Return the payloads of the last answers, newest first; those before `since` are left out."""
    query = (
        select(predictions.c.payload, predictions.c.created_at)
        .where(predictions.c.workload == workload, predictions.c.probe.is_(False))
        .order_by(predictions.c.seq.desc())
        .limit(limit)
    )
    return [row.payload for row in connection.execute(query) if row.created_at >= since]


def cursors_at(connection: Connection, workload: str, since: datetime) -> Cursors:
    """Return the cursors from which all rows since then are read, and a few before.

    Rows are written within seconds of their time, or in one piece after the store was away, so their order is
    nearly that of their times. It is found by halving: times have no index.
    """
    answers = select(predictions.c.seq, predictions.c.created_at).where(predictions.c.workload == workload)
    pairs = (
        select(joins.c.seq, truths.c.received_at)
        .join_from(joins, truths, TRUTH_OF_PAIR)
        .where(joins.c.workload == workload)
    )
    repeats = select(repeated_truths.c.seq, repeated_truths.c.received_at).where(
        repeated_truths.c.workload == workload
    )
    rejected = select(refusals.c.seq, refusals.c.at).where(refusals.c.workload == workload)
    return Cursors(
        _last_before(connection, answers, predictions.c.seq, since),
        _last_before(connection, pairs, joins.c.seq, since),
        _last_before(connection, repeats, repeated_truths.c.seq, since),
        _last_before(connection, rejected, refusals.c.seq, since),
    )


def _last_before(connection: Connection, rows: Select[Any], seq: Column[int], since: datetime) -> int:
    """Return the last `seq` of rows (seq, time), ordered by both, before the time; 0 when there is none."""
    newest = connection.execute(rows.order_by(seq.desc()).limit(1)).first()
    low, high = 0, 0 if newest is None else newest[0]
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(rows.where(seq > middle).order_by(seq).limit(1)).first()
        if found is not None and found[1] < since:
            low = found[0]
        else:
            high = middle
    return low
