"""The INSERT of rows of the journal: made once, not bound anew row by row.

The values that the driver gets are those that SQLAlchemy would give it: the types of the columns make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect

from deployments.store.records import PredictionRecord
from deployments.store.sql.schema import predictions
from deployments.store.sql.upsert import insert_new

_NAMES = PredictionRecord._fields
# SQLite's driver lets other threads run at each INSERT, and has to wait for its turn then: beside a busy
# event loop rows in blocks take half the time of rows one by one. SQLite takes 32,766 parameters, 23 a row.
_BLOCK_ROWS = 250


@dataclass(frozen=True)
class _Insert:
    """The INSERT of one kind of database.

    Attributes:
        statement: its INSERT of a row.
        block: that of `_BLOCK_ROWS` rows, with the parameters of one after those of the other; None where
            the driver sends many rows together by itself.
        order: of the parameters, as positions in a row; None where they go by name.
        converters: by position, where the driver does not take a value as it is.
    """

    statement: str
    block: str | None
    order: tuple[int, ...] | None
    converters: Mapping[int, Callable[[Any], Any]]

    def parameters(self, rows: Sequence[PredictionRecord]) -> Any:
        """Return the parameters of the statement, a tuple or a dict a row."""
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for position, convert in self.converters.items():
            columns[position] = [convert(value) for value in columns[position]]
        if self.order is None:
            return [dict(zip(_NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
        return list(zip(*(columns[position] for position in self.order), strict=True))


def insert_predictions(connection: Connection, rows: Sequence[PredictionRecord]) -> int:
    """Insert rows, at least one, but for those whose id is there; return how many are new."""
    insert = _insert(connection.dialect)
    parameters = insert.parameters(rows)
    inserted = 0
    while insert.block is not None and len(parameters) >= _BLOCK_ROWS:
        block, parameters = parameters[:_BLOCK_ROWS], parameters[_BLOCK_ROWS:]
        inserted += connection.exec_driver_sql(insert.block, tuple(chain.from_iterable(block))).rowcount
    if parameters:
        inserted += connection.exec_driver_sql(insert.statement, parameters).rowcount
    return inserted


@lru_cache(maxsize=4)
def _insert(dialect: Dialect) -> _Insert:
    # for many: otherwise PostgreSQL would return the `seq` of each row
    insert = insert_new(dialect, predictions)
    compiled = insert.compile(dialect=dialect, column_keys=_NAMES, for_executemany=True)
    processors = (predictions.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in _NAMES)
    converters = {position: one for position, one in enumerate(processors) if one}
    by_position = compiled.positiontup
    if by_position is None:
        return _Insert(str(compiled), None, None, converters)
    block = insert.values([dict.fromkeys(_NAMES)] * _BLOCK_ROWS).compile(dialect=dialect)
    return _Insert(str(compiled), str(block), tuple(map(_NAMES.index, by_position)), converters)
