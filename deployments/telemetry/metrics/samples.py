"""What metrics read at a moment, on its way from where they are held to the text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from deployments.telemetry.metrics.catalogue import METRICS


@dataclass(frozen=True)
class Buckets:
    """A histogram.

    Attributes:
        bounds: upper ones of the buckets, increasing; one more bucket has none.
        counts: values up to each bound, then all values: (bounds + 1,), not decreasing.
        sum: of the values; None where it is not known.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float | None = None

    @classmethod
    def of_each(cls, bounds: Iterable[float], counts: Iterable[float], total: float | None = None) -> Buckets:
        """From the numbers of values in each bucket alone, (bounds + 1,)."""
        return cls(tuple(bounds), tuple(accumulate(counts)), total)


Value = float | Buckets


class Samples:
    """Values of declared metrics by their own labels. Can be pickled."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], Value]] = {}

    def put(self, name: str, value: Value, *labels: str) -> None:
        """Take a value.

        Args:
            name: of a metric that is declared.
            value: of a histogram `Buckets`.
            labels: values of its own labels, in their order.

        Raises:
            ValueError: it is not declared so.
        """
        metric = METRICS.get(name)
        if metric is None:
            raise ValueError(f"metric: got {name!r}, expected one that is declared")
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name}: got the labels {labels}, expected values of {metric.labels}")
        if isinstance(value, Buckets) != metric.kind.endswith("histogram"):
            raise ValueError(f"{name}: got {value!r}, expected the value of a {metric.kind}")
        self._values.setdefault(name, {})[labels] = value

    def of(self, name: str) -> Mapping[tuple[str, ...], Value]:
        """The values of a metric by its own labels."""
        return self._values.get(name, {})


@dataclass(frozen=True)
class ReplicaSamples:
    """Of one router replica.

    Attributes:
        replica: its id, which no other replica ever has.
        readings: of the metrics that it holds.
    """

    replica: str
    readings: Samples
