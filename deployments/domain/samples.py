"""Samples that are kept of an entity, and how they complete an instance. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import orjson
from numpy.typing import NDArray

from features.contract import Contract
from features.windows import needed_samples

FloatArray = NDArray[np.float64]
# Values in contract order, None where nothing was sent.
Samples = list[list[float | None]]


def to_samples(array: FloatArray) -> Samples:
    """Make samples of an array (n, fields), NaN where nothing was sent."""
    return [[value if np.isfinite(value) else None for value in row] for row in array.tolist()]


def merge_samples(kept: Samples, sent: Iterable[list[float | None]], time_column: int, most: int) -> Samples:
    """Return kept samples and new ones in the order in which they came, the last `most` of them.

    Of two at the same time the first stands, as in a stream. The order is that of arrival and not of time, so
    that neither a wrong time far ahead nor a clock that starts anew keeps what follows out.
    """
    times = {row[time_column] for row in kept}
    return [*kept, *(row for row in sent if row[time_column] not in times)][-most:]


def leading_samples(
    kept: Samples, time_s: float, time_column: int, max_gap_s: float, fields: int
) -> FloatArray:
    """Return the kept samples before a time without a gap, (m, fields), oldest first, NaN for None."""
    table = np.array(kept, dtype=np.float64).reshape(-1, fields)
    older = table[table[:, time_column] < time_s]
    older = older[np.argsort(older[:, time_column], kind="stable")]
    gaps = np.flatnonzero(np.diff(older[:, time_column], append=time_s) > max_gap_s)
    return older[int(gaps[-1]) + 1 :] if gaps.size else older


def complete_samples(contract: Contract, earlier: FloatArray | None, sent: FloatArray) -> FloatArray:
    """Return the sent samples, (n, fields), after those of the earlier samples that their window needs.

    So the window is the one that a stream of both has at that sample.
    """
    if earlier is None or not len(earlier):
        return sent
    samples = needed_samples(contract, np.concatenate([earlier, sent]))
    return samples if len(samples) > len(sent) else sent


def prepend_samples(contract: Contract, earlier: FloatArray, payload: bytes) -> bytes:
    """Return the JSON of an instance with these samples, (m, fields), before its own."""
    names = contract.field_names
    rows = [
        {name: value for name, value in zip(names, row, strict=True) if np.isfinite(value)}
        for row in earlier.tolist()
    ]
    members = orjson.loads(payload)
    return orjson.dumps(members | {"samples": [*rows, *members["samples"]]})
