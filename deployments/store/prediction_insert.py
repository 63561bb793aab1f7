"""Rows of the journal into their table: an INSERT that is made once, not bound anew row by row.

The values that the driver gets are those that SQLAlchemy would give it: the types of the columns make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Dialect

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
        order: of the parameters, as positions in a row; None where they go by name.
        converters: by position, where the driver does not take a value as it is.
    """

    statement: str
    order: tuple[int, ...] | None
    converters: Mapping[int, Callable[[Any], Any]]

    def parameters(self, rows: Sequence[PredictionRow]) -> Any:
        """Of the statement, a tuple or a dict a row."""
        columns: list[Sequence[Any]] = list(zip(*map(_VALUES, rows), strict=True))
        for position, convert in self.converters.items():
            columns[position] = [convert(value) for value in columns[position]]
        if self.order is None:
            return [dict(zip(_NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
        return list(zip(*(columns[position] for position in self.order), strict=True))


def insert_predictions(connection: Connection, rows: Sequence[PredictionRow]) -> None:
    """Add rows, at least one; those whose id is there are left as they are."""
    insert = _insert(connection.dialect)
    connection.exec_driver_sql(insert.statement, insert.parameters(rows))


@lru_cache(maxsize=4)
def _insert(dialect: Dialect) -> _Insert:
    # for many: PostgreSQL would be asked for the `seq` of each row else
    compiled = insert_new(dialect, predictions).compile(
        dialect=dialect, column_keys=_NAMES, for_executemany=True
    )
    processors = (predictions.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in _NAMES)
    converters = {position: one for position, one in enumerate(processors) if one}
    by_position = compiled.positiontup
    order = None if by_position is None else tuple(map(_NAMES.index, by_position))
    return _Insert(str(compiled), order, converters)
