"""The last samples of each entity, within a transaction. Writers take turns: no update is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from deployments.domain.samples import Samples, merge_samples
from deployments.store.sql.padded_in_lists import padded_in_lists
from deployments.store.sql.schema import histories


def exchange(
    connection: Connection,
    workload: str,
    items: Sequence[tuple[str, Samples]],
    *,
    time_column: int,
    most_samples: int,
    most_entities: int,
    now: datetime,
) -> list[Samples]:
    """Add the samples of each item, and return for each the samples of its entity before it.

    Kept are `most_samples` of an entity, see `merged`, and the `most_entities` updated last.
    """
    names = list({entity for entity, _ in items})
    there = _read(connection, workload, names)
    kept = dict(there)
    before = []
    for entity, sent in items:
        old = kept.get(entity, [])
        before.append(old)
        kept[entity] = merge_samples(old, sent, time_column, most_samples)
    _write(connection, workload, kept, set(there), now)
    if len(there) < len(kept):
        _delete_oldest(connection, workload, most_entities)
    return before


def _read(connection: Connection, workload: str, names: Sequence[str]) -> dict[str, Samples]:
    found: dict[str, Samples] = {}
    for part in padded_in_lists(names):
        query = select(histories.c.entity, histories.c.samples).where(
            histories.c.workload == workload, histories.c.entity.in_(part)
        )
        found |= {row.entity: row.samples for row in connection.execute(query)}
    return found


def _write(
    connection: Connection, workload: str, kept: dict[str, Samples], there: set[str], now: datetime
) -> None:
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for entity, samples in kept.items():
        if entity in there:
            changed.append({"of": entity, "samples": samples, "updated_at": now})
        else:
            new.append({"workload": workload, "entity": entity, "samples": samples, "updated_at": now})
    if new:
        connection.execute(insert(histories), new)
    if changed:
        where = (histories.c.workload == workload) & (histories.c.entity == bindparam("of"))
        connection.execute(update(histories).where(where), changed)


def _delete_oldest(connection: Connection, workload: str, most_entities: int) -> None:
    mine = histories.c.workload == workload
    count = connection.scalar(select(func.count()).select_from(histories).where(mine)) or 0
    if count <= most_entities:
        return
    oldest = (
        select(histories.c.entity)
        .where(mine)
        .order_by(histories.c.updated_at, histories.c.entity)
        .limit(count - most_entities)
    )
    connection.execute(delete(histories).where(mine, histories.c.entity.in_(oldest)))
