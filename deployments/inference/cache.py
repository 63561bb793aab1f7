"""Answers about inputs that a model has seen, so that it need not be called again. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from deployments.domain.cache_settings import CacheSettings
from training.runtime.tasks.base import ArmAnswer

FloatArray = NDArray[np.float64]


class AnswerCache:
    """The answers that one router replica keeps; none until `use` is given settings.

    The key of an answer is the content hash of the bundle, the level of the region, and all bytes of the raw
    matrix, fills and earlier samples included; nothing else goes into an answer. So another version or level
    never finds it, and the id, entity and arm of a request do not matter.

    Attributes:
        hits: lookups that found an answer, by arm.
        misses: lookups that did not, by arm.
    """

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self._bundles: frozenset[str] = frozenset()
        self._max_entries = 0
        self._answers: OrderedDict[tuple[str, float | None, bytes], ArmAnswer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def use(self, settings: CacheSettings | None, bundles: Collection[str]) -> None:
        """Keep answers of these bundles from now on, and forget those of all others; None turns it off."""
        serving = frozenset(bundles if settings else ())
        self._max_entries = settings.max_entries if settings else 0
        if self._bundles - serving:
            gone = [key for key in self._answers if key[0] not in serving]
            for key in gone:
                del self._answers[key]
        self._bundles = serving
        self._shrink()

    def covers(self, bundle: str) -> bool:
        """Return whether answers of the bundle are kept."""
        return bundle in self._bundles

    def find(self, arm: str, bundle: str, raw: FloatArray, level: float | None = None) -> ArmAnswer | None:
        """Find the bundle's answer about a matrix, of contract.raw_shape; counted if the bundle is covered.

        Args:
            arm: whose hit or miss is counted.
            bundle: that the arm serves.
            raw: the matrix.
            level: at which the arm makes regions now, as in `ArmAnswer`.

        Returns:
            The answer, marked as cached; None if there is none.
        """
        if bundle not in self._bundles:
            return None
        key = (bundle, level, raw.tobytes())
        answer = self._answers.get(key)
        if answer is None:
            self.misses[arm] += 1
            return None
        self.hits[arm] += 1
        self._answers.move_to_end(key)
        return answer

    def keep(self, bundle: str, raw: FloatArray, answer: ArmAnswer) -> None:
        """Keep an answer; not that of a bundle that was taken out of service during the call."""
        if bundle not in self._bundles:
            return
        key = (bundle, answer.level, raw.tobytes())
        self._answers[key] = answer._replace(cached=True)
        self._answers.move_to_end(key)
        self._shrink()

    def _shrink(self) -> None:
        while len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)
