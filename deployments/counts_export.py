"""What was counted, by arm or by another kind, on its way to a metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol


class MetricCounter(Protocol):
    """A counter of a metrics library, for example `ray.util.metrics.Counter`."""

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Count so many more under these tags."""
        ...


class CountsExport:
    """Hands what was counted since the last time to counters: once in a while, not with each request.

    Args:
        workload: a tag of all, beside the kind.
        pairs: what is counted by kind, and the counter that is told.
        tag: name of the kinds.
    """

    def __init__(
        self, workload: str, pairs: Iterable[tuple[Counter[str], MetricCounter]], tag: str = "arm"
    ) -> None:
        self._workload = workload
        self._tag = tag
        self._parts = [(counted, metric, Counter[str]()) for counted, metric in pairs]

    def export(self) -> None:
        """Bring the counters up to date."""
        for counted, metric, told in self._parts:
            for kind, count in list(counted.items()):
                if count > told[kind]:
                    metric.inc(count - told[kind], {"workload": self._workload, self._tag: kind})
                    told[kind] = count
