"""Rows of the journal into their table: an INSERT compiled once, in place of one that is bound row by row.

SQLAlchemy's own way with many rows takes three times as long in Python. The values that the driver gets are
the same: they are made by the types of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Dialect

from deployments.store.records import PredictionRow
from deployments.store.schema import predictions
from deployments.store.upsert import insert_new

_NAMES = tuple(PredictionRow.__dataclass_fields__)
_VALUES = attrgetter(*_NAMES)


def insert_predictions(connection: Connection, rows: Sequence[PredictionRow]) -> None:
    """Add rows, at least one; those whose id is there are left as they are."""
    compiled = insert_new(connection, predictions).compile(
        dialect=connection.dialect, column_keys=_NAMES, for_executemany=True
    )
    converters = _converters(connection.dialect)
    columns: list[Sequence[Any]] = list(zip(*map(_VALUES, rows), strict=True))
    for position, convert in converters:
        columns[position] = [convert(value) for value in columns[position]]
    if compiled.positiontup is None:
        parameters: list[Any] = [dict(zip(_NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
    else:
        at = [_NAMES.index(name) for name in compiled.positiontup]
        parameters = list(zip(*(columns[position] for position in at), strict=True))
    connection.exec_driver_sql(str(compiled), parameters)


@lru_cache(maxsize=4)
def _converters(dialect: Dialect) -> list[tuple[int, Callable[[Any], Any]]]:
    """Position of each column that the driver does not take as it is, and what makes it so."""
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for position, name in enumerate(_NAMES):
        kind = predictions.c[name].type.dialect_impl(dialect)
        if convert := kind.bind_processor(dialect):
            found.append((position, convert))
    return found
