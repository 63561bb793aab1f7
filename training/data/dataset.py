"""Conversion of telemetry records to the table that families learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract, FieldSpec
from features.errors import FieldError
from features.window_spec import PointWindow
from features.windows import Window, cut_windows
from features.workload import Workload
from training.config import Weigh
from training.sources.base import LOG, WEIGHT, Mapper, Progress, no_progress, serial_map

FloatArray = NDArray[np.float64]

_ENTITIES_PER_CHUNK = 40
# Of a table, whose rows cost no windows.
_ROWS_PER_CHUNK = 50_000


@dataclass(frozen=True)
class Dataset:
    """Windows (or rows) of many entities as features, unscaled.

    Attributes:
        features: (n, features) or (n, steps, features).
        target: the target's array, (n,) or for paths (n, horizons, 3), in target units.
        weight: (n,), mean 1.
        group: (n,) int, the entity of each row; splits never cut one.
        end_s: (n,) time of the last sample; of a table row, its index.
        raw: (n, *raw_shape) raw instances, for golden inputs and the drift reference; see `raw_type`.
        data_hash: sha256 of the records that this was made from.
    """

    features: FloatArray
    target: FloatArray
    weight: FloatArray
    group: NDArray[np.int64]
    end_s: FloatArray
    raw: NDArray[np.floating]
    data_hash: str

    def take(self, rows: NDArray[np.int64]) -> Dataset:
        """Return the dataset of these rows only."""
        return Dataset(
            self.features[rows],
            self.target[rows],
            self.weight[rows],
            self.group[rows],
            self.end_s[rows],
            self.raw[rows],
            self.data_hash,
        )

    def every(self, step: int) -> Dataset:
        """Return the first row of each entity, and every `step`-th of its rows after it."""
        if step == 1:
            return self
        order = np.argsort(self.group, kind="stable")
        _, first, code = np.unique(self.group[order], return_index=True, return_inverse=True)
        return self.take(np.sort(order[(np.arange(len(order)) - first[code]) % step == 0]))


@dataclass(frozen=True)
class LogWindows:
    """The windows of one log of one entity, or rows of a table.

    Attributes:
        entity: (n,) value of the contract's entity field.
        end_s: (n,) time of the last sample of each window; of the row for a tabular contract, its index.
        raw: (n, *raw_shape).
        features: (n, features) or (n, steps, features).
        target: the target's array.
        weight: (n,), as the source gave it.
    """

    entity: NDArray[np.str_]
    end_s: FloatArray
    raw: FloatArray
    features: FloatArray
    target: FloatArray
    weight: FloatArray


def build_dataset(
    contract: Contract,
    workload: Workload,
    records: pd.DataFrame,
    mapper: Mapper = serial_map,
    progress: Progress = no_progress,
    weigh: Weigh = "entities",
) -> Dataset:
    """Every window of every log in `records`.

    Args:
        weigh: whether each entity has the same sum of weights, or each row what the source gave it.

    Raises:
        FieldError: the records lack a column, hold none at all, or give no window.
    """
    chunks = split_chunks(contract, with_entity(contract, records))
    parts = mapper(partial(windows_of_chunk, contract, workload), chunks, progress)
    logs = [log for part in parts for log in part]
    if not logs:
        raise FieldError("records", f"{len(records)} rows", "at least one entity with one whole window")
    _, group = np.unique(np.concatenate([log.entity for log in logs]), return_inverse=True)
    weight = np.concatenate([log.weight for log in logs])
    return Dataset(
        features=np.concatenate([log.features for log in logs]),
        target=np.concatenate([log.target for log in logs]),
        weight=balanced(weight, group) if weigh == "entities" else weight / weight.mean(),
        group=group.astype(np.int64),
        end_s=np.concatenate([log.end_s for log in logs]),
        raw=np.concatenate([log.raw for log in logs]).astype(raw_type(contract)),
        data_hash=hash_records(records),
    )


def balanced(weight: FloatArray, group: NDArray[np.int64]) -> FloatArray:
    """(n,) such that each group has the same sum, and the mean is 1; within a group in proportion."""
    weight = weight / np.bincount(group, weight)[group]
    return np.asarray(weight / weight.mean())


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Concatenate datasets; an entity of one is no entity of another, and weights stay as they are."""
    groups, first = [], 0
    for part in parts:
        _, codes = np.unique(part.group, return_inverse=True)
        groups.append(codes + first)
        first += codes.max(initial=-1) + 1
    hashes = list(dict.fromkeys(part.data_hash for part in parts))
    together = hashlib.sha256("".join(hashes).encode()).hexdigest() if len(hashes) > 1 else hashes[0]
    return Dataset(
        features=np.concatenate([part.features for part in parts]),
        target=np.concatenate([part.target for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        group=np.concatenate(groups).astype(np.int64),
        end_s=np.concatenate([part.end_s for part in parts]),
        raw=np.concatenate([part.raw for part in parts]),
        data_hash=together,
    )


def raw_type(contract: Contract) -> type[np.floating]:
    """float32, which halves the memory, unless it moves times by more than a hundredth of a grid step.

    Points may be as close as they like, so that theirs stay as they are.
    """
    if contract.window is None:
        return np.float32
    if isinstance(contract.window, PointWindow):
        return np.float64
    spec = contract.fields[contract.field_names.index(contract.window.time)]
    latest_s = np.float32(max(abs(spec.minimum), abs(spec.maximum)))
    return np.float32 if np.spacing(latest_s) * contract.window.rate_hz < 0.01 else np.float64


def split_chunks(contract: Contract, records: pd.DataFrame) -> list[pd.DataFrame]:
    """Split the records into pieces of whole entities, for tasks of a second or so.

    Raises:
        FieldError: a column that every source has to give is missing.
    """
    required = [contract.entity, *contract.target_columns, *(f.name for f in contract.fields if f.required)]
    for name in required:
        if name not in records:
            raise FieldError(name, sorted(records.columns), f"a column {name!r} in the records")
    codes, _ = pd.factorize(records[contract.entity])
    chunk = codes // (_ENTITIES_PER_CHUNK if contract.window else _ROWS_PER_CHUNK)
    order = np.argsort(chunk, kind="stable")
    edges = np.flatnonzero(np.diff(chunk[order])) + 1
    return [records.iloc[rows] for rows in np.split(order, edges)]


def windows_of_chunk(contract: Contract, workload: Workload, records: pd.DataFrame) -> list[LogWindows]:
    """Cut the windows of every log in these records, with features; logs too short for one are left out.

    A table is one log: its rows have nothing to do with each other.
    """
    keys = [contract.entity, LOG] if LOG in records else [contract.entity]
    found = []
    is_table = contract.window is None
    for rows in [records] if is_table else (rows for _, rows in records.groupby(keys, sort=False)):
        windows = _windows_of_log(contract, rows)
        if windows is not None:
            found.append(windows)
    if not found:
        return []
    features = workload.features(np.concatenate([raw for *_, raw in found]))
    logs, start = [], 0
    for rows, last, end_s, raw in found:
        stop = start + len(raw)
        logs.append(
            LogWindows(
                entity=rows[contract.entity].to_numpy()[last].astype(str),
                end_s=end_s,
                raw=raw,
                features=features[start:stop],
                target=read_target(contract, rows)[last],
                weight=rows[WEIGHT].to_numpy(np.float64)[last] if WEIGHT in rows else np.ones(len(raw)),
            )
        )
        start = stop
    return logs


def _windows_of_log(
    contract: Contract, rows: pd.DataFrame
) -> tuple[pd.DataFrame, NDArray[np.int64], FloatArray, FloatArray] | None:
    """Return the log's rows; for each window its last row, its end, its raw matrix. None without windows.

    A window whose truth is not known (NaN) teaches nothing; its samples stay in the windows after it.
    """
    samples = read_matrix(contract, rows)
    if contract.window is None:
        index = np.arange(len(samples))
        return _with_truth(contract, rows, index, index.astype(np.float64), samples)
    windows: Sequence[Window] = cut_windows(contract, samples.tolist())
    if not windows:
        return None
    end_s = np.array([window.end_s for window in windows])
    times = samples[:, contract.field_names.index(contract.window.time)]
    order = np.argsort(times, kind="stable")
    last = order[np.searchsorted(times[order], end_s)]
    return _with_truth(contract, rows, last, end_s, np.stack([window.values for window in windows]))


def _with_truth(
    contract: Contract, rows: pd.DataFrame, last: NDArray[np.int64], end_s: FloatArray, raw: FloatArray
) -> tuple[pd.DataFrame, NDArray[np.int64], FloatArray, FloatArray] | None:
    known = np.isfinite(read_target(contract, rows)[last]).reshape(len(last), -1).any(axis=1)
    return (rows, last[known], end_s[known], raw[known]) if known.any() else None


def with_entity(contract: Contract, records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with a column named as the contract's entity, joined from several if need be.

    Raises:
        FieldError: one of them is missing.
    """
    if contract.entity in records:
        return records
    for name in contract.entity_names:
        if name not in records:
            raise FieldError(name, sorted(records.columns), f"a column {name!r} in the records")
    joined = records[list(contract.entity_names)].astype(str).agg("/".join, axis=1)
    return records.assign(**{contract.entity: joined})


def read_target(contract: Contract, records: pd.DataFrame) -> FloatArray:
    """Read the target's array of these rows, NaN where the truth is not known."""
    return contract.target.of_columns([records[name].to_numpy() for name in contract.target_columns])


def read_matrix(contract: Contract, rows: pd.DataFrame) -> FloatArray:
    """(n, fields) in contract order, NaN where the records have no value or no column.

    Raises:
        FieldError: a field holds a category that the contract does not have.
    """
    matrix = np.full((len(rows), len(contract.fields)), np.nan)
    for column, spec in enumerate(contract.fields):
        if spec.name in rows:
            values = rows[spec.name]
            matrix[:, column] = _indices(spec, values) if spec.categories else values.to_numpy(np.float64)
    return matrix


def _indices(spec: FieldSpec, names: pd.Series[Any]) -> FloatArray:
    """(n,) index of each category."""
    found = pd.Index(spec.categories).get_indexer(pd.Index(names))
    if (found < 0).any():
        raise FieldError(spec.name, names.to_numpy()[found < 0][0], spec.range_text)
    return found.astype(np.float64)


def hash_records(records: pd.DataFrame) -> str:
    """sha256 over names, types and values of all columns, in hex."""
    digest = hashlib.sha256(repr([(name, str(kind)) for name, kind in records.dtypes.items()]).encode())
    digest.update(pd.util.hash_pandas_object(records, index=False).to_numpy().tobytes())
    return digest.hexdigest()
