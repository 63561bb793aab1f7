"""The values of metrics at one moment, on their way to the exposition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from deployments.telemetry.metrics.catalogue import METRICS


@dataclass(frozen=True)
class Buckets:
    """The cumulative buckets of a histogram.

    Attributes:
        bounds: upper ones of the buckets, increasing; one more bucket has none.
        counts: values up to each bound, then all values: (bounds + 1,), not decreasing.
        sum: of the values; None where it is not known.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float | None = None

    @classmethod
    def from_counts(
        cls, bounds: Iterable[float], counts: Iterable[float], total: float | None = None
    ) -> Buckets:
        """Make buckets from the number of values in each of them, (bounds + 1,)."""
        return cls(tuple(bounds), tuple(accumulate(counts)), total)


Value = float | Buckets


class Samples:
    """Values of metrics of the catalogue, by their own labels. Can be pickled."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], Value]] = {}

    def put(self, name: str, value: Value, *labels: str) -> None:
        """Set a value.

        Args:
            name: of a metric of the catalogue.
            value: of a histogram `Buckets`.
            labels: values of its own labels, in their order.

        Raises:
            ValueError: the catalogue has no such metric, labels or kind.
        """
        metric = METRICS.get(name)
        if metric is None:
            raise ValueError(f"metric: got {name!r}, expected one of the catalogue")
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name}: got the labels {labels}, expected values of {metric.labels}")
        if isinstance(value, Buckets) != metric.kind.endswith("histogram"):
            raise ValueError(f"{name}: got {value!r}, expected the value of a {metric.kind}")
        self._values.setdefault(name, {})[labels] = value

    def values(self, name: str) -> Mapping[tuple[str, ...], Value]:
        """Return the values of a metric by its own labels."""
        return self._values.get(name, {})


@dataclass(frozen=True)
class ReplicaSamples:
    """The samples of one router replica.

    Attributes:
        replica: its id, which no other replica ever has.
        samples: of the metrics of the origin `router`.
    """

    replica: str
    samples: Samples
