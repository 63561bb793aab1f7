"""Erase one entity: its predictions with whatever refers to them, and its history.

Rows go in transactions of few rows, and other writers take their turns between them. The ids are looked for
outside of these, since no index leads from an entity to its predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, select

from deployments.store.routes import record_audit_event
from deployments.store.shadow_store import shadow_answers
from deployments.store.sql.engine import reading, writing
from deployments.store.sql.padded_in_lists import padded_in_lists
from deployments.store.sql.schema import (
    histories,
    joins,
    predictions,
    repeated_truths,
    truths,
    waiting_truths,
)

ERASURE = "erase"
_OF_A_PREDICTION = (joins, shadow_answers, waiting_truths, repeated_truths, truths, predictions)
_AT_ONCE = 512


def erase(engine: Engine, workload: str, entity: str, *, actor: str, now: datetime) -> Mapping[str, int]:
    """Delete the rows of an entity, record an act, and return the number of rows by table.

    The act has counts alone. A hash of the entity would be found again by hashing all names that there may
    be, and a salt beside it would not change that.

    Erasing again after an interruption deletes what is left. A truth that has no prediction names no entity,
    and stays until it expires.

    Args:
        engine: of the store.
        workload: of the entity.
        entity: its name.
        actor: who asks for it.
        now: time of the act.
    """
    deleted: Counter[str] = Counter({str(table.name): 0 for table in (*_OF_A_PREDICTION, histories)})
    after = 0
    while found := _find(engine, workload, entity, after):
        after = found[-1][0]
        with writing(engine) as connection:
            _overwrite_deleted(connection)
            deleted.update(_delete(connection, workload, [id_ for _, id_ in found]))
    with writing(engine) as connection:
        _overwrite_deleted(connection)
        own = delete(histories).where(histories.c.workload == workload, histories.c.entity == entity)
        deleted[str(histories.name)] = connection.execute(own).rowcount
        record_audit_event(connection, workload, ERASURE, actor, {"rows": dict(deleted)}, now)
    return dict(deleted)


def _find(engine: Engine, workload: str, entity: str, after: int) -> list[tuple[int, str]]:
    """Return the next predictions of the entity, `seq` and id."""
    columns = predictions.c
    query = select(columns.seq, columns.id).where(columns.workload == workload, columns.entity == entity)
    query = query.where(columns.seq > after).order_by(columns.seq).limit(_AT_ONCE)
    with reading(engine) as connection:
        return [(row.seq, row.id) for row in connection.execute(query)]


def _delete(connection: Connection, workload: str, ids: Sequence[str]) -> Counter[str]:
    deleted: Counter[str] = Counter()
    for part in padded_in_lists(ids):
        for table in _OF_A_PREDICTION:
            own = delete(table).where(table.c.workload == workload, table.c.id.in_(part))
            deleted[str(table.name)] += connection.execute(own).rowcount
    return deleted


def _overwrite_deleted(connection: Connection) -> None:
    """Have SQLite overwrite what it deletes, which would otherwise stay legible in the free room."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
