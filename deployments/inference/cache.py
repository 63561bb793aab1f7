"""What models said about inputs they have seen, so that they need not be asked again. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from deployments.domain.cache_settings import CacheSettings
from training.runtime.tasks.base import Row

FloatArray = NDArray[np.float64]


class AnswerCache:
    """Of one router replica. Off until `use` says otherwise.

    An entry is named by the content hash of the bundle that answered, by the level of its region, and by all
    bytes of the matrix that it was asked, fills and earlier samples included; nothing else goes into an
    answer. So another version or level never finds it, and the id, entity and arm of a request do not matter.

    Attributes:
        hits: answers that were found, by arm.
        misses: those that were not, by arm.
    """

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self._bundles: frozenset[str] = frozenset()
        self._max_entries = 0
        self._rows: OrderedDict[tuple[str, float | None, bytes], Row] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def use(self, settings: CacheSettings | None, bundles: Collection[str]) -> None:
        """Keep answers of these bundles from now on, and forget those of all others; None turns it off."""
        serving = frozenset(bundles if settings else ())
        self._max_entries = settings.max_entries if settings else 0
        if self._bundles - serving:
            gone = [key for key in self._rows if key[0] not in serving]
            for key in gone:
                del self._rows[key]
        self._bundles = serving
        self._shrink()

    def covers(self, bundle: str) -> bool:
        """Whether answers of the bundle are kept."""
        return bundle in self._bundles

    def find(self, arm: str, bundle: str, raw: FloatArray, level: float | None = None) -> Row | None:
        """What the bundle said about the matrix, of contract.raw_shape; counted if the bundle is covered.

        Args:
            arm: that is asked.
            bundle: that it serves.
            raw: the matrix.
            level: at which its regions are made now, as in `Row`.
        """
        if bundle not in self._bundles:
            return None
        key = (bundle, level, raw.tobytes())
        row = self._rows.get(key)
        if row is None:
            self.misses[arm] += 1
            return None
        self.hits[arm] += 1
        self._rows.move_to_end(key)
        return row

    def keep(self, bundle: str, raw: FloatArray, row: Row) -> None:
        """Remember an answer; not that of a bundle that was taken out of service while it was asked."""
        if bundle not in self._bundles:
            return
        key = (bundle, row.level, raw.tobytes())
        self._rows[key] = row
        self._rows.move_to_end(key)
        self._shrink()

    def _shrink(self) -> None:
        while len(self._rows) > self._max_entries:
            self._rows.popitem(last=False)
