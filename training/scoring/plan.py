"""The plan of a scoring run: a file, or a folder of files, cut into parts of whole logs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.contract import Contract
from training.scoring.records import key_column, required_columns
from training.sources.base import LOG

Ranges = NDArray[np.int64]

# About a second of work, so that a run that is cut off loses little.
ROWS_PER_PART = 100_000


class InputFile(BaseModel):
    """A Parquet file, with what shows that it is still the same."""

    model_config = ConfigDict(frozen=True)

    path: str
    rows: int
    etag: str = Field(description="sha256 over size, time of the last change and footer, in hex")


@dataclass(frozen=True)
class Records:
    """The input. Its rows are numbered through, file after file.

    Attributes:
        columns: those that scoring reads and some file has.
    """

    files: tuple[InputFile, ...]
    columns: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(file.rows for file in self.files)


def open_records(contract: Contract, path: Path) -> Records:
    """Open the Parquet file at `path`, or the files of that folder by name.

    Raises:
        FieldError: a file lacks a column, or one holds what its field does not.
        ValueError: there is no Parquet file, or one is none.
    """
    paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not paths:
        raise ValueError(f"{path}: got a folder without a .parquet file, expected one at least")
    files, columns = [], dict[str, None]()
    for one in paths:
        try:
            footer = pq.read_metadata(one)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{one}: no Parquet file: {error}") from error
        columns |= dict.fromkeys(required_columns(contract, footer.schema.to_arrow_schema(), str(one)))
        files.append(InputFile(path=str(one.resolve()), rows=footer.num_rows, etag=_etag(one)))
    return Records(tuple(files), tuple(columns))


def plan_parts(contract: Contract, records: Records, rows_per_part: int = ROWS_PER_PART) -> list[Ranges]:
    """Plan the parts, each as the ranges (k, 2) of its rows, from and up to, in their order.

    Parts of a table are as they come. For windows a part holds whole logs, wherever their rows lie: only the
    columns that name logs are read for that.
    """
    if contract.window is None:
        starts = np.arange(0, records.rows, rows_per_part)
        stops = np.minimum(starts + rows_per_part, records.rows)
        return [np.array([[start, stop]]) for start, stop in zip(starts, stops, strict=True)]
    code, start, stop = _runs(contract, records)
    if not len(code):
        return []
    size = np.bincount(code, weights=stop - start).astype(np.int64)
    _, part_of_log = np.unique((np.cumsum(size) - size) // rows_per_part, return_inverse=True)
    part = part_of_log[code]
    order = np.argsort(part, kind="stable")
    edges = np.flatnonzero(np.diff(part[order])) + 1
    return [_merged(start[runs], stop[runs]) for runs in np.split(order, edges)]


def rows_in(ranges: Ranges) -> NDArray[np.int64]:
    """Return the numbers of the rows of a part."""
    return np.concatenate([np.arange(start, stop) for start, stop in ranges.tolist()])


class RecordsReader:
    """Reads parts. Keeps the last row group: the next part is often in it."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._last: tuple[tuple[str, int], pa.Table] | None = None

    def read(self, rows: NDArray[np.int64]) -> pa.Table:
        """Read the records with these increasing numbers."""
        tables = []
        for file, group, first, count in _groups(self._records):
            begin, end = np.searchsorted(rows, (first, first + count)).tolist()
            if begin < end:
                table = self._group(file, group)
                inside = rows[begin:end] - first
                whole = inside[-1] - inside[0] + 1 == len(inside)
                tables.append(table.slice(inside[0], len(inside)) if whole else table.take(inside))
        return pa.concat_tables(tables, promote_options="permissive")

    def _group(self, file: str, group: int) -> pa.Table:
        if self._last is None or self._last[0] != (file, group):
            self._last = None  # one at a time in memory
            parquet = pq.ParquetFile(file)
            there = [name for name in self._records.columns if name in parquet.schema_arrow.names]
            self._last = (file, group), parquet.read_row_group(group, there, use_threads=False)
        return self._last[1]


def _groups(records: Records) -> Iterator[tuple[str, int, int, int]]:
    """File, number, first row and rows of each row group."""
    first = 0
    for file in records.files:
        footer = pq.read_metadata(file.path)
        for group in range(footer.num_row_groups):
            count = footer.row_group(group).num_rows
            yield file.path, group, first, count
            first += count


def _runs(contract: Contract, records: Records) -> tuple[Ranges, Ranges, Ranges]:
    """Log, first row and row after the last of each run of rows of one log; logs are numbered from 0."""
    entity = {contract.entity, *contract.entity_names, LOG}
    reader = RecordsReader(Records(records.files, tuple(name for name in records.columns if name in entity)))
    known: dict[str, int] = {}
    codes, starts = [], []
    for _, _, first, count in _groups(records):
        keys = key_column(contract, reader.read(np.arange(first, first + count))).dictionary_encode()
        names = [known.setdefault(name, len(known)) for name in keys.dictionary.to_pylist()]
        code = np.array(names, np.int64)[np.asarray(keys.indices)]
        at = np.flatnonzero(np.diff(code, prepend=-1))
        codes.append(code[at])
        starts.append(first + at)
    none = np.empty(0, np.int64)
    code, start = np.concatenate([none, *codes]), np.concatenate([none, *starts])
    return code, start, np.append(start[1:], records.rows)


def _merged(start: Ranges, stop: Ranges) -> Ranges:
    """Ranges (k, 2), those that touch as one."""
    begins = np.append(True, start[1:] != stop[:-1])
    ends = np.append(begins[1:], True)
    return np.column_stack([start[begins], stop[ends]])


def _etag(path: Path) -> str:
    status = path.stat()
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        footer = file.read()
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode() + footer).hexdigest()
