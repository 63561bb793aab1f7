"""The rows of retrainings: one a retraining, at most one of a workload open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    String,
    Table,
    insert,
    select,
    update,
)
from ulid import ULID

from deployments.errors import Conflict, NotFound
from deployments.retraining import states
from deployments.retraining.values import Request, Retraining
from deployments.store.engine import reading, writing
from deployments.store.routes import record_act
from deployments.store.schema import UtcDateTime, metadata

retrainings = Table(
    "retrainings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("workload", String(64), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("content", JSON, nullable=False),
    Index("retrainings_by_workload", "workload", "created_at"),
)


class Retrainings:
    """Retrainings of all workloads. Every method raises StoreUnavailable.

    Args:
        engine: of the store.
        clock: UTC time.
        new_id: of a retraining; ids sort by time.
    """

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], new_id: Callable[[], str] = lambda: str(ULID())
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    def ask(self, workload: str, request: Request) -> Retraining:
        """The retraining that the request became, or was merged into; an act tells of it."""
        with writing(self._engine) as connection:
            there = _open(connection, workload)
            asked = states.ask(there, workload, self._new_id(), request)
            _put(connection, asked, is_new=there is None)
            detail = {"id": asked.id, "merged": there is not None, **request.model_dump(mode="json")}
            record_act(connection, workload, "retraining_asked", request.by, detail, self._clock())
        return asked

    def change(self, seen: Retraining, act: Callable[[Retraining], Retraining]) -> Retraining:
        """Apply `act` to the row, which has to be where `seen` was: its state and its attempts.

        Raises:
            Conflict: somebody else has moved it on.
            NotFound: there is no such retraining.
        """
        with writing(self._engine) as connection:
            there = _read(connection, seen.id)
            if (there.state, len(there.attempts)) != (seen.state, len(seen.attempts)):
                raise Conflict(f"retraining {seen.id}: is {there.state} by now, not {seen.state}")
            return self._move(connection, there, act(there))

    def report(self, retraining_id: str, job: str, act: Callable[[Retraining], Retraining]) -> Retraining:
        """Apply `act` to the row on behalf of its last job.

        Raises:
            Conflict: the job is not the last one, or the retraining has ended: its work is no longer wanted.
            NotFound: there is no such retraining.
        """
        with writing(self._engine) as connection:
            there = _read(connection, retraining_id)
            if not (there.is_open and there.attempts and there.attempts[-1].job == job):
                raise Conflict(f"retraining {retraining_id}: {job} is no longer its job")
            return self._move(connection, there, act(there))

    def get(self, retraining_id: str) -> Retraining:
        """One of them.

        Raises:
            NotFound: there is none.
        """
        with reading(self._engine) as connection:
            return _read(connection, retraining_id)

    def latest(self, workload: str, limit: int = 20) -> list[Retraining]:
        """The newest first."""
        query = (
            select(retrainings.c.content)
            .where(retrainings.c.workload == workload)
            .order_by(retrainings.c.created_at.desc(), retrainings.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Retraining.model_validate(content) for content in connection.scalars(query)]

    def _move(self, connection: Connection, there: Retraining, changed: Retraining) -> Retraining:
        """Write it; an act tells of each change of state."""
        if changed == there:
            return there
        _put(connection, changed, is_new=False)
        if (changed.state, len(changed.attempts)) != (there.state, len(there.attempts)):
            detail = {"id": changed.id, "state": changed.state, "attempts": len(changed.attempts)}
            detail |= {"failure": changed.failure, "arms": _verdicts(changed)}
            record_act(connection, changed.workload, "retraining", "steward", detail, self._clock())
        return changed


def _verdicts(retraining: Retraining) -> dict[str, bool]:
    return {arm: result.passed for arm, result in retraining.arms.items()}


def _open(connection: Connection, workload: str) -> Retraining | None:
    query = select(retrainings.c.content).where(retrainings.c.workload == workload, retrainings.c.is_open)
    content = connection.scalar(query)
    return None if content is None else Retraining.model_validate(content)


def _read(connection: Connection, retraining_id: str) -> Retraining:
    content = connection.scalar(select(retrainings.c.content).where(retrainings.c.id == retraining_id))
    if content is None:
        raise NotFound(f"no retraining {retraining_id!r}")
    return Retraining.model_validate(content)


def _put(connection: Connection, retraining: Retraining, *, is_new: bool) -> None:
    values = {"is_open": retraining.is_open, "content": retraining.model_dump(mode="json")}
    if is_new:
        named = {"id": retraining.id, "workload": retraining.workload, "created_at": retraining.created_at}
        connection.execute(insert(retrainings).values(**named, **values))
    else:
        connection.execute(update(retrainings).where(retrainings.c.id == retraining.id).values(**values))
