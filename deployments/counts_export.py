"""What was counted of each arm, on its way to a metrics library."""

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
        workload: a tag of all, beside the arm.
        pairs: what is counted by arm, and the counter that is told.
    """

    def __init__(self, workload: str, pairs: Iterable[tuple[Counter[str], MetricCounter]]) -> None:
        self._workload = workload
        self._parts = [(counted, metric, Counter[str]()) for counted, metric in pairs]

    def export(self) -> None:
        """Bring the counters up to date."""
        for counted, metric, told in self._parts:
            for arm, count in list(counted.items()):
                if count > told[arm]:
                    metric.inc(count - told[arm], {"workload": self._workload, "arm": arm})
                    told[arm] = count
