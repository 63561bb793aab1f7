"""The rendering of samples in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from deployments.telemetry.metrics.catalogue import METRICS, Metric
from deployments.telemetry.metrics.samples import Buckets, Samples, Value

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Part:
    """Samples with the labels that all of them have.

    Attributes:
        labels: values of the labels of the metrics' origin, in their order.
        samples: of metrics of one origin.
    """

    labels: tuple[str, ...]
    samples: Samples


def render(parts: Sequence[Part]) -> bytes:
    """Render the families of all parts in the order of the catalogue; those without a value are left out.

    Raises:
        ValueError: the labels of a part are not those of its metrics' origin.
    """
    registry = CollectorRegistry()
    registry.register(_Parts(parts))
    return generate_latest(registry)


class _Parts(Collector):
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Family]:
        """Return nothing: without this the registry would collect once more to know the names."""
        return ()

    def collect(self) -> Iterable[Family]:
        """Yield the families."""
        for metric in METRICS.values():
            family = _family(metric)
            for part in self._parts:
                for own, value in part.samples.values(metric.name).items():
                    labels = dict(zip(metric.all_labels, (*part.labels, *own), strict=True))
                    _add(family, labels, value)
            if family.samples:
                yield family


def _family(metric: Metric) -> Family:
    return Family(metric.name.removesuffix("_total"), metric.help, metric.kind)


def _add(family: Family, labels: Mapping[str, str], value: Value) -> None:
    own = dict(labels)
    if not isinstance(value, Buckets):
        family.add_sample(family.name + ("_total" if family.type == "counter" else ""), own, float(value))
        return
    for bound, count in zip((*map(str, value.bounds), "+Inf"), value.counts, strict=True):
        family.add_sample(f"{family.name}_bucket", own | {"le": bound}, count)
    if value.sum is not None:
        family.add_sample(f"{family.name}_count", own, value.counts[-1])
        family.add_sample(f"{family.name}_sum", own, value.sum)
