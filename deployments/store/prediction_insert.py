"""Rows of the journal into their table: an INSERT that is made once, not bound anew row by row.

The values that the driver gets are those that SQLAlchemy would give it: the types of the columns make them.
SQLite takes a tuple a row. PostgreSQL, to which every row would be a message, takes an array a column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Dialect, String
from sqlalchemy.types import TypeEngine

from deployments.store.records import PredictionRow
from deployments.store.schema import predictions
from deployments.store.upsert import insert_new

_NAMES = tuple(PredictionRow.__dataclass_fields__)
_VALUES = attrgetter(*_NAMES)


@dataclass(frozen=True)
class _Insert:
    """For one kind of database.

    Attributes:
        statement: its INSERT.
        arranged: its parameters, of the columns in the order of `_NAMES`.
        converters: by position, where the driver does not take a value as it is.
    """

    statement: str
    arranged: Callable[[Sequence[Sequence[Any]]], Any]
    converters: Mapping[int, Callable[[Any], Any]]

    def parameters(self, rows: Sequence[PredictionRow]) -> Any:
        """Of the statement."""
        columns: list[Sequence[Any]] = list(zip(*map(_VALUES, rows), strict=True))
        for position, convert in self.converters.items():
            columns[position] = [convert(value) for value in columns[position]]
        return self.arranged(columns)


def insert_predictions(connection: Connection, rows: Sequence[PredictionRow]) -> None:
    """Add rows, at least one; those whose id is there are left as they are."""
    insert = _insert(connection.dialect)
    connection.exec_driver_sql(insert.statement, insert.parameters(rows))


@lru_cache(maxsize=4)
def _insert(dialect: Dialect) -> _Insert:
    processors = (predictions.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in _NAMES)
    converters = {position: one for position, one in enumerate(processors) if one}
    if dialect.name == "postgresql":
        return _Insert(_of_arrays(dialect), _as_arrays, converters)
    compiled = insert_new(dialect, predictions).compile(dialect=dialect, column_keys=_NAMES)
    assert compiled.positiontup is not None, "SQLite's parameters have no names"
    order = tuple(map(_NAMES.index, compiled.positiontup))
    return _Insert(str(compiled), lambda columns: _as_rows(columns, order), converters)


def _as_rows(columns: Sequence[Sequence[Any]], order: Sequence[int]) -> list[tuple[Any, ...]]:
    return list(zip(*(columns[position] for position in order), strict=True))


def _as_arrays(columns: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: list(column) for name, column in zip(_NAMES, columns, strict=True)}


def _of_arrays(dialect: Dialect) -> str:
    columns = [predictions.c[name] for name in _NAMES]
    names = ", ".join(map(dialect.identifier_preparer.format_column, columns))
    arrays = ", ".join(f"%({column.name})s::{_kind(column.type, dialect)}[]" for column in columns)
    table = predictions.name
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"


def _kind(column: TypeEngine[Any], dialect: Dialect) -> str:
    # with its length it would cut a text that is too long, which the table refuses
    return "TEXT" if isinstance(column, String) else column.compile(dialect)
