"""The predictions of shadows, and their pairs with what their arm has served."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Float,
    Index,
    Select,
    String,
    Table,
    UniqueConstraint,
    and_,
    func,
    select,
)

from deployments.store.records import ShadowPair, ShadowRow
from deployments.store.reused_ids import IS_UNAMBIGUOUS
from deployments.store.sql.engine import reading, writing
from deployments.store.sql.schema import UtcDateTime, metadata, predictions, seq_column, truths
from deployments.store.sql.upsert import insert_new
from training.runtime.tasks.base import ArmAnswer

shadow_answers = Table(
    "shadow_answers",
    metadata,
    seq_column(),
    Column("workload", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("arm", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("prediction", JSON, nullable=False),
    Column("interval", JSON, nullable=False),
    Column("coverage", Float, nullable=False),
    UniqueConstraint("workload", "id", "bundle"),
    Index("shadow_answers_by_time", "workload", "arm", "bundle", "created_at", "seq"),
    sqlite_autoincrement=True,
)

# The time too, so that an id that came twice is no pair of answers to two instances.
_PREDICTION = and_(
    predictions.c.workload == shadow_answers.c.workload,
    predictions.c.id == shadow_answers.c.id,
    predictions.c.created_at == shadow_answers.c.created_at,
)
_TRUTH = and_(
    truths.c.workload == shadow_answers.c.workload, truths.c.id == shadow_answers.c.id, IS_UNAMBIGUOUS
)


class ShadowStore:
    """The predictions of shadows, as a part of `Store`. Every method raises StoreUnavailable.

    A query walks along the answers of one shadow in the order of their time, and looks the prediction and the
    truth of each up by their keys, until it has enough pairs. So the rest of the journal costs nothing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, rows: Sequence[ShadowRow]) -> None:
        """Add predictions of shadows; one that the same bundle made for the same id before stays as it is."""
        if not rows:
            return
        with writing(self._engine) as connection:
            connection.execute(insert_new(connection.dialect, shadow_answers), [vars(row) for row in rows])

    def count(self, workload: str, arm: str, shadow: str, served: str, since: datetime, limit: int) -> int:
        """Count the pairs of `pairs`; `limit` stands for any larger number."""
        query = _pairs(select(shadow_answers.c.seq), workload, arm, shadow, served, since)
        some = query.limit(limit).subquery()
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(some)) or 0

    def pairs(
        self, workload: str, arm: str, shadow: str, served: str, since: datetime, limit: int = 1000
    ) -> list[ShadowPair]:
        """Return predictions of an arm with those of its shadow, as far as their truth is known.

        Requests that named the arm are left out.

        Args:
            workload: of both.
            arm: that answered.
            shadow: hash of the shadow's bundle.
            served: hash of the bundle that answered.
            since: predictions from then on.
            limit: most pairs; the oldest come first.
        """
        answer, shadowed = predictions.c, shadow_answers.c
        columns = select(
            answer.created_at,
            answer.prediction,
            answer.interval,
            answer.coverage,
            shadowed.prediction,
            shadowed.interval,
            shadowed.coverage,
            truths.c.value,
        )
        query = _pairs(columns, workload, arm, shadow, served, since).limit(limit)
        with reading(self._engine) as connection:
            found = connection.execute(query).all()
        return [ShadowPair(row[0], ArmAnswer(*row[1:4]), ArmAnswer(*row[4:7]), row[7]) for row in found]


def _pairs(
    query: Select[Any], workload: str, arm: str, shadow: str, served: str, since: datetime
) -> Select[Any]:
    """Join the pairs, and keep those of the arguments, oldest first."""
    shadowed, answer = shadow_answers.c, predictions.c
    return (
        query.join_from(shadow_answers, predictions, _PREDICTION)
        .join(truths, _TRUTH)
        .where(shadowed.workload == workload, shadowed.arm == arm)
        .where(shadowed.bundle == shadow, shadowed.created_at >= since)
        .where(answer.arm == arm, answer.bundle == served, answer.named.is_(False))
        .order_by(shadowed.created_at, shadowed.seq)
    )
