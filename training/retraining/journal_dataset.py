"""A data set of journalled instances with their truths, as families learn from it.

An instance goes the way that it went when it was answered: the same fills, the same window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features.contract import Contract
from features.errors import FieldError
from features.windows import cut_window
from features.workload import Workload
from training.data.dataset import Dataset, balanced, raw_type
from training.runtime.journal_query import Example, Journal, JournalQuery
from training.scoring.records import filled

FloatArray = NDArray[np.float64]

PAGE_ROWS = 1000


class NothingJournalled(ValueError):
    """A query gives no pair that can be learnt from."""


@dataclass(frozen=True)
class Journalled:
    """The pairs of a query as a data set.

    Attributes:
        dataset: a row a pair, in the order of their predictions; `data_hash` is over all pairs, as they are
            in the journal.
        skipped: pairs whose instance does not fit the contract, or whose truth says nothing.
        first, last: UTC times of the oldest and the newest prediction.
    """

    dataset: Dataset
    skipped: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class _Row:
    example: Example
    end_s: float
    raw: FloatArray
    truth: FloatArray


def read_journal(contract: Contract, workload: Workload, journal: Journal, query: JournalQuery) -> Journalled:
    """Return all pairs of a query; only one page at a time is held as text.

    Raises:
        NothingJournalled: none of them can be used.
    """
    digest = hashlib.sha256(query.model_dump_json().encode())
    pages, keys, skipped = [], [], 0
    for page in _pages(journal, query):
        for example in page:
            digest.update(_encode(example))
        rows = [row for example in page if (row := _read_row(contract, example)) is not None]
        skipped += len(page) - len(rows)
        if rows:
            pages.append(_part(contract, workload, rows))
            keys += [(row.example.at, row.example.entity) for row in rows]
    if not pages:
        raise NothingJournalled(f"{query.workload}: {skipped} pairs in {query}, expected at least 1 to use")
    features, target, end_s, raw = (np.concatenate(parts) for parts in zip(*pages, strict=True))
    # of two at one time that with the lower cursor, which was read before
    order = np.array(sorted(range(len(keys)), key=lambda row: keys[row][0]), np.int64)
    _, group = np.unique([entity for _, entity in keys], return_inverse=True)
    if contract.window is None:
        end_s = np.argsort(order).astype(np.float64)
    ones = np.ones(len(keys))
    dataset = Dataset(features, target, balanced(ones, group), group, end_s, raw, digest.hexdigest())
    times = [at for at, _ in keys]
    return Journalled(dataset.take(order), skipped, min(times), max(times))


def instance_matrix(contract: Contract, payload: str) -> tuple[FloatArray, float]:
    """Return the raw matrix of a journalled instance, `contract.raw_shape`, and its last sample's time (s).

    Raises:
        FieldError: the instance does not fit the contract.
    """
    body = orjson.loads(payload)
    if contract.window is None:
        return filled(contract, np.array([_values(contract, body)]))[0], 0.0
    samples = np.array([_values(contract, sample) for sample in body["samples"]])
    window = cut_window(contract, samples)
    return window.values, window.end_s


def _pages(journal: Journal, query: JournalQuery) -> Iterator[Sequence[Example]]:
    after = query.after
    while page := journal.examples(query, after, PAGE_ROWS):
        yield page
        after = page[-1].seq


def _encode(example: Example) -> bytes:
    content = [example.id, example.entity, example.payload, example.at.isoformat(), example.truth]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _read_row(contract: Contract, example: Example) -> _Row | None:
    """Return None where there is nothing to learn: one odd pair must not keep the others from being used."""
    try:
        raw, end_s = instance_matrix(contract, example.payload)
        truth = contract.target.of_json(example.truth)
    except (FieldError, ValueError, KeyError, TypeError):
        return None
    return _Row(example, end_s, raw, truth) if np.isfinite(truth).any() else None


def _part(
    contract: Contract, workload: Workload, rows: Sequence[_Row]
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[Any]]:
    raw = np.stack([row.raw for row in rows])
    target = np.stack([row.truth for row in rows])
    end_s = np.array([row.end_s for row in rows])
    return workload.features(raw), target, end_s, raw.astype(raw_type(contract))


def _values(contract: Contract, members: Any) -> list[float]:
    """Return the values in contract order, NaN where nothing was sent; a category as its index."""
    found = []
    for spec in contract.fields:
        value = members.get(spec.name)
        if value is None and spec.required:
            raise FieldError(spec.name, None, spec.range_text)
        if isinstance(value, str):
            value = spec.categories.index(value)
        found.append(np.nan if value is None else float(value))
    return found
