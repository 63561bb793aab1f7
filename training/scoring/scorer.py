"""Records in, answers out: the same windows, features, model and regions as online."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.contract import Contract
from features.errors import FieldError
from features.windows import Windower, cut_window
from training.runtime.inference import Model
from training.scoring.columns import array_columns
from training.scoring.records import Checked, checked, entity_column, filled, key_column

FloatArray = NDArray[np.float64]

# Rows that are predicted at once: what the features of so many need fits into a processor's cache.
_ROWS, _WINDOWS = 8192, 1024


@dataclass(frozen=True)
class Stamp:
    """The model version that answers, as every row names it."""

    arm: str
    model_version: str
    bundle: str


@dataclass(frozen=True)
class _Instances:
    """Some instances of a table of records.

    Attributes:
        at: (n,) the record that each ends with.
        end_s: (n,) time of it; empty for rows of a table.
        raw: (n, *raw_shape).
    """

    at: NDArray[np.int64]
    end_s: FloatArray
    raw: FloatArray


class Scorer:
    """Scores tables of records with one model."""

    def __init__(self, model: Model, stamp: Stamp) -> None:
        self._model = model
        self._stamp = stamp
        self._contract = model.bundle.contract
        self._names = [*array_columns(self._contract.target), "outlier_score"]

    def answers(self, records: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
        """Return a row for each instance that the records hold, and for each record that is wrong.

        Columns: `row`, the number of the record that the instance ends with; `entity`; `end_s`, for windows;
        the numbers of the prediction and its region, `outlier_score`, null where there is an `error`; the
        stamp. In the order of `row`.

        Args:
            records: whole logs, each in the order of its samples.
            rows: (n,) the numbers of the records.
        """
        found = checked(self._contract, records)
        errors = dict(found.errors)
        if self._contract.window is None:
            batches = _rows(self._contract, found)
        else:
            batches = _windows(self._contract, records, found, errors)
        answered = [(batch.at, batch.end_s, self._predict(batch.raw)) for batch in batches]
        # the errors last: making windows finds more of them
        wrong = np.array(sorted(errors), np.int64)
        blank = np.full((len(wrong), len(self._names)), np.nan)
        at, end_s, predicted = zip(*answered, (wrong, np.full(len(wrong), np.nan), blank), strict=True)
        index = np.concatenate(at)
        order = np.argsort(index, kind="stable")
        is_error = (np.arange(len(index)) >= len(index) - len(wrong))[order]
        index = index[order]
        columns = {"row": pa.array(rows[index]), "entity": entity_column(self._contract, records).take(index)}
        if self._contract.window is not None:
            columns["end_s"] = pa.array(np.concatenate(end_s)[order], mask=is_error)
        for name, values in zip(self._names, np.concatenate(predicted)[order].T, strict=True):
            columns[name] = pa.array(values, mask=is_error)
        why = [errors[number] for number in wrong.tolist()]
        columns["error"] = _scattered(why, is_error)
        return pa.table(columns | self._stamps(len(index)))

    def _predict(self, raw: FloatArray) -> FloatArray:
        """(n, *raw_shape) -> (n, columns)."""
        scaled = self._model.scaler.transform(raw)
        arrays = self._model.arm.predict(scaled).arrays.values()
        score = self._model.scaler.outliers.score(scaled.matrix)
        return np.column_stack([*(values.reshape(len(raw), -1) for values in arrays), score])

    def _stamps(self, count: int) -> dict[str, pa.Array]:
        same = pa.array(np.zeros(count, np.int32))
        stamp = self._stamp
        named = {"arm": stamp.arm, "model_version": stamp.model_version, "bundle": stamp.bundle}
        return {name: pa.DictionaryArray.from_arrays(same, pa.array([text])) for name, text in named.items()}


def _scattered(texts: list[str], at: NDArray[np.bool_]) -> pa.Array:
    """(n,) the texts in their order where `at`, null elsewhere."""
    number = np.cumsum(at) - 1
    return pa.array(texts, pa.string()).take(pa.array(number, mask=~at))


def _rows(contract: Contract, found: Checked) -> Iterator[_Instances]:
    good = np.flatnonzero(found.good)
    for start in range(0, len(good), _ROWS):
        at = good[start : start + _ROWS]
        yield _Instances(at, np.empty(0), filled(contract, found.matrix[at]))


def _windows(
    contract: Contract, records: pa.Table, found: Checked, errors: dict[int, str]
) -> Iterator[_Instances]:
    """Yield the windows of every log, and add an error for each log that has none.

    A record that is wrong is no sample: the windows are those of the log without it.
    """
    at: list[int] = []
    end_s: list[float] = []
    raw: list[FloatArray] = []
    for log in _logs(contract, records, found.good):
        windower = Windower(contract)
        for number, sample in zip(log.tolist(), found.matrix[log].tolist(), strict=True):
            window = windower.push(sample)
            if window is None:
                continue
            at.append(number)
            end_s.append(window.end_s)
            raw.append(window.values)
            if len(raw) == _WINDOWS:
                yield _Instances(np.array(at), np.array(end_s), np.stack(raw))
                at, end_s, raw = [], [], []
        if not windower.counts.windows:
            errors[int(log[-1])] = _why_none(contract, windower)
    if raw:
        yield _Instances(np.array(at), np.array(end_s), np.stack(raw))


def _logs(contract: Contract, records: pa.Table, good: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Yield the records of each log that are sound, in their order."""
    keys = pc.dictionary_encode(key_column(contract, records))
    codes = np.asarray(keys.indices)
    order = np.argsort(codes, kind="stable")
    for log in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        sound = log[good[log]]
        if len(sound):
            yield sound


def _why_none(contract: Contract, windower: Windower) -> str:
    try:
        cut_window(contract, windower.samples())
    except FieldError as error:
        return str(error)
    return "no window"
