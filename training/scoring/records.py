"""Arrow tables of records -> the matrix that models see, and what is wrong with each row.

A row is checked as the API checks an instance: a field that is required, a category or a number out of its
range is an error of that row, and of no other. NaN counts as not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.contract import Contract, FieldSpec
from features.errors import FieldError
from training.sources.base import LOG

FloatArray = NDArray[np.float64]

# between the parts of a key that no name holds
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Checked:
    """Records as numbers.

    Attributes:
        matrix: (n, fields) in contract order; NaN where nothing was sent, and anything where `errors` has
            the row.
        errors: what is wrong, by row; the first field that is.
    """

    matrix: FloatArray
    errors: dict[int, str]

    @property
    def good(self) -> NDArray[np.bool_]:
        """(n,) rows without an error."""
        good = np.ones(len(self.matrix), bool)
        good[list(self.errors)] = False
        return good


def required_columns(contract: Contract, schema: pa.Schema, source: str) -> list[str]:
    """Return the columns of a file that scoring reads.

    Raises:
        FieldError: one is missing, or holds neither numbers nor names as its field does; says which, and
            that it is in `source`.
    """
    there = set(schema.names)
    entity = [contract.entity] if contract.entity in there else list(contract.entity_names)
    for name in [*entity, *(spec.name for spec in contract.fields if spec.required)]:
        if name not in there:
            raise FieldError(name, sorted(there), f"a column {name!r} in {source}")
    fields = [spec for spec in contract.fields if spec.name in there]
    for spec in fields:
        _check_type(spec, schema.field(spec.name).type, source)
    log = [LOG] if contract.window is not None and LOG in there else []
    return list(dict.fromkeys([*entity, *log, *(spec.name for spec in fields)]))


def entity_column(contract: Contract, records: pa.Table) -> pa.Array:
    """(n,) text that names the entity of each row, null where it is not known."""
    names = [contract.entity] if contract.entity in records.column_names else contract.entity_names
    return _joined(records, names, "/")


def key_column(contract: Contract, records: pa.Table) -> pa.Array:
    """(n,) text that only the rows of one log of one entity have in common."""
    entity = pc.fill_null(entity_column(contract, records), "")
    if LOG not in records.column_names:
        return entity
    log = pc.fill_null(_joined(records, [LOG], ""), "")
    return pc.binary_join_element_wise(entity, log, _SEPARATOR)


def checked(contract: Contract, records: pa.Table) -> Checked:
    """Return the matrix of the records, with the errors of each row."""
    matrix = np.full((len(records), len(contract.fields)), np.nan)
    errors: dict[int, str] = {}
    nameless = np.asarray(pc.is_null(entity_column(contract, records)))
    for row in np.flatnonzero(nameless).tolist():
        errors[row] = str(FieldError(contract.entity, None, "a name"))
    for column, spec in enumerate(contract.fields):
        if spec.name not in records.column_names:
            continue
        cells = records[spec.name]
        values = matrix[:, column] = _indices(spec, cells) if spec.categories else _numbers(cells)
        wrong = ~((values >= spec.minimum) & (values <= spec.maximum))
        if not spec.required:
            wrong &= ~np.isnan(values)
        for row in np.flatnonzero(wrong).tolist():
            if row not in errors:
                errors[row] = str(FieldError(spec.name, cells[row].as_py(), spec.range_text))
    return Checked(matrix, errors)


def filled(contract: Contract, rows: FloatArray) -> FloatArray:
    """(n, fields) rows of a table, with the rules of the contract for what was not sent."""
    rows = rows.copy()
    for column, spec in enumerate(contract.fields):
        if spec.fill is None:
            continue
        missing = np.isnan(rows[:, column])
        if spec.fill.constant is not None:
            rows[missing, column] = spec.fill.constant
        else:
            assert spec.fill.same_as is not None, "a table row has no derivatives"
            rows[missing, column] = rows[missing, contract.field_names.index(spec.fill.same_as)]
    return rows


def _check_type(spec: FieldSpec, kind: pa.DataType, source: str) -> None:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if spec.categories:
        fits, expected = pa.types.is_string(plain) or pa.types.is_large_string(plain), "names"
    else:
        fits = pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_decimal(plain)
        expected = "numbers"
    if not fits and not pa.types.is_null(plain):
        raise FieldError(spec.name, str(kind), f"{expected} in the column {spec.name!r} of {source}")


def _joined(records: pa.Table, names: list[str] | tuple[str, ...], separator: str) -> pa.Array:
    texts = [pc.cast(records[name].combine_chunks(), pa.string()) for name in names]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, separator)


def _numbers(cells: pa.ChunkedArray) -> FloatArray:
    """(n,) float64, NaN for null."""
    numbers = pc.fill_null(pc.cast(cells, pa.float64(), safe=False), np.nan)
    return np.asarray(numbers.to_numpy(), np.float64)


def _indices(spec: FieldSpec, cells: pa.ChunkedArray) -> FloatArray:
    """(n,) index of each category, NaN for what is none."""
    found = pc.index_in(pc.cast(cells, pa.string()), value_set=pa.array(spec.categories, pa.string()))
    return _numbers(found)
