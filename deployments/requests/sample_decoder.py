"""A decoder of samples from JSON into an array: the model of a sample takes three times as long."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract

FloatArray = NDArray[np.float64]


class _Layout(NamedTuple):
    """Samples with the same members: their getter, columns (members,), and allowed ranges (members,)."""

    values: Callable[[Any], tuple[Any, ...]]
    columns: NDArray[np.intp]
    minimum: FloatArray
    maximum: FloatArray


class SampleDecoder:
    """A decoder of samples that all have the same members, each a number in its range.

    All others, valid or not, are left to the model of the contract.

    Args:
        contract: of a windowed workload.
    """

    def __init__(self, contract: Contract) -> None:
        assert contract.window is not None, "a tabular contract has no samples"
        self._contract = contract
        self._lengths = range(contract.window.min_samples, contract.window.max_samples + 1)
        self._names = frozenset(contract.field_names)
        self._layout = lru_cache(maxsize=64)(self._make_layout)

    def read(self, samples: Any) -> FloatArray | None:
        """Return decoded JSON as (n, fields), NaN where nothing was sent; None for all other samples."""
        if not isinstance(samples, list) or len(samples) not in self._lengths:
            return None
        if not isinstance(samples[0], dict):
            return None
        # others are not worth a place among the layouts that are kept: they may be megabytes
        if not samples[0].keys() <= self._names:
            return None
        layout = self._layout(tuple(samples[0]))
        if layout is None:
            return None
        try:
            if set(map(len, samples)) != {len(layout.columns)}:
                return None
            sent = list(chain.from_iterable(map(layout.values, samples)))
            if not set(map(type, sent)) <= {int, float}:
                return None
            values = np.fromiter(sent, np.float64, len(sent)).reshape(len(samples), -1)
        except (KeyError, IndexError, TypeError, OverflowError):
            return None
        # false of NaN too
        if not ((values >= layout.minimum) & (values <= layout.maximum)).all():
            return None
        table = np.full((len(samples), len(self._contract.fields)), np.nan)
        table[:, layout.columns] = values
        return table

    def _make_layout(self, names: tuple[str, ...]) -> _Layout | None:
        known = {spec.name: position for position, spec in enumerate(self._contract.fields)}
        required = {spec.name for spec in self._contract.fields if spec.required}
        # of a single name `itemgetter` makes no tuple
        if len(names) < 2 or not required <= set(names):
            return None
        columns = [known[name] for name in names]
        specs = [self._contract.fields[column] for column in columns]
        return _Layout(
            itemgetter(*names),
            np.array(columns),
            np.array([spec.minimum for spec in specs]),
            np.array([spec.maximum for spec in specs]),
        )
