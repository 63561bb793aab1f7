"""The export of counters to another metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from deployments.telemetry.metrics.catalogue import METRICS, Metric
from deployments.telemetry.metrics.samples import Buckets, Samples

EXPORTED: tuple[Metric, ...] = tuple(
    metric for metric in METRICS.values() if (metric.origin, metric.kind) == ("router", "counter")
)


class MetricCounter(Protocol):
    """A counter of a metrics library, for example `ray.util.metrics.Counter`."""

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Add a value under these tags."""
        ...


class CountsExport:
    """An export of counter increments: once in a while, not with each request.

    Args:
        workload: a tag of all, beside the labels of the metric.
        counters: those of the library, by the name of the metric.
    """

    def __init__(self, workload: str, counters: Mapping[str, MetricCounter]) -> None:
        self._workload = workload
        self._counters = {name: (counter, Counter[tuple[str, ...]]()) for name, counter in counters.items()}

    def export(self, samples: Samples) -> None:
        """Bring the counters up to date."""
        for name, (counter, exported) in self._counters.items():
            for labels, count in samples.values(name).items():
                assert not isinstance(count, Buckets), "a counter counts"
                if count > exported[labels]:
                    own = dict(zip(METRICS[name].labels, labels, strict=True))
                    counter.inc(count - exported[labels], {"workload": self._workload, **own})
                    exported[labels] = int(count)
