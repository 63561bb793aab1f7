"""Rows that move step by step: a retraining, a promotion. The value is one JSON column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Protocol, Self, TypeVar

from sqlalchemy import JSON, Boolean, Column, Connection, Engine, Index, String, Table, insert, select, update
from ulid_transform import ulid_now

from deployments.domain.errors import NotFound
from deployments.domain.ids import is_name
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import UtcDateTime, metadata
from features.errors import printable


class StateValue(Protocol):
    """A pydantic model."""

    @property
    def id(self) -> str:
        """Sorts by time."""

    @property
    def workload(self) -> str:
        """The name of its workload."""

    @property
    def created_at(self) -> datetime:
        """The time at which it began."""

    @property
    def is_open(self) -> bool:
        """Return whether anything is still to be done."""

    @classmethod
    def model_validate(cls, content: Any) -> Self:
        """Return the value of this JSON."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Return the value as JSON."""


V = TypeVar("V", bound=StateValue)


def state_table(name: str, *columns: Column[Any]) -> Table:
    """Return a table of such rows, with further columns to find them by."""
    return Table(
        name,
        metadata,
        Column("id", String(64), primary_key=True),
        Column("workload", String(64), nullable=False),
        Column("is_open", Boolean, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        *columns,
        Column("content", JSON, nullable=False),
        Index(f"{name}_by_workload", "workload", "created_at"),
    )


class StateRows(Generic[V]):
    """A table of rows that move from state to state. Every method raises StoreUnavailable.

    Args:
        engine: of the store.
        clock: UTC time.
        table: made by `state_table`.
        kind: of the values.
        called: the word for one in messages.
        new_id: ids sort by time, to the millisecond.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], datetime],
        table: Table,
        kind: type[V],
        called: str,
        new_id: Callable[[], str] = ulid_now,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._table = table
        self._kind = kind
        self._called = called
        self._new_id = new_id

    def get(self, row_id: str) -> V:
        """Return one of them.

        Raises:
            NotFound: there is none.
        """
        with reading(self._engine) as connection:
            return self._read(connection, row_id)

    def latest(self, workload: str, limit: int = 20) -> list[V]:
        """Return the last ones, the newest first."""
        columns = self._table.c
        query = (
            select(columns.content)
            .where(columns.workload == workload)
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [self._kind.model_validate(content) for content in connection.scalars(query)]

    def _all_open(self, connection: Connection, workload: str, *also: Any) -> list[V]:
        """Return the open ones, oldest first; `also` are further conditions."""
        columns = self._table.c
        query = select(columns.content).where(columns.workload == workload, columns.is_open, *also)
        found = connection.scalars(query.order_by(columns.created_at, columns.id))
        return [self._kind.model_validate(content) for content in found]

    def _read(self, connection: Connection, row_id: str) -> V:
        columns = self._table.c
        content = None
        if is_name(row_id):  # PostgreSQL takes no other text, and no row has one as its id
            content = connection.scalar(select(columns.content).where(columns.id == row_id))
        if content is None:
            raise NotFound(f"no {self._called} {printable(row_id)}")
        return self._kind.model_validate(content)

    def _add(self, connection: Connection, value: V, **columns: Any) -> None:
        named = {"id": value.id, "workload": value.workload, "created_at": value.created_at}
        connection.execute(insert(self._table).values(**named, **_content(value), **columns))

    def _replace(self, connection: Connection, value: V) -> None:
        mine = self._table.c.id == value.id
        connection.execute(update(self._table).where(mine).values(**_content(value)))


def _content(value: StateValue) -> dict[str, Any]:
    return {"is_open": value.is_open, "content": value.model_dump(mode="json")}
