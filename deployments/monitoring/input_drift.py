"""The input drift detector: the distance of live features from the reference sample of a bundle. Pure numpy.

The distance is Evidently's default for numbers, the Wasserstein distance over the standard deviation of the
reference, but computed from histograms, which are summed by bucket of time: so each evaluation has it
without the rows. The edges are quantiles of the reference, and some beyond its ends. The report for readers
is Evidently's own, see `report`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.buckets import TIERS, Buckets, Tier
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import InputSettings

FloatArray = NDArray[np.float64]

_INNER_EDGES = 65
# Beyond the ends of the reference, in its standard deviations.
_TAILS = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0])
_LEAST_DEVIATION = 0.001  # as Evidently has it
# Standard errors of a distance without drift, on top of the threshold.
_NOISE_FACTOR = 3.0
_SHOWN = 8


class ReferenceBins:
    """The distribution of each feature in the reference, as counts between fixed edges.

    Args:
        names: of the features.
        reference: (n, features) or (n, steps, features); all steps count alike.
        ignore: features that are left out, by name or by pattern: `wave_*` is every name that starts so.
    """

    def __init__(self, names: tuple[str, ...], reference: FloatArray, ignore: tuple[str, ...] = ()) -> None:
        self._columns = [
            i for i, name in enumerate(names) if not any(fnmatchcase(name, one) for one in ignore)
        ]
        self.names = tuple(names[i] for i in self._columns)
        known = [column[np.isfinite(column)] for column in self._values(reference)]
        known = [column if len(column) else np.zeros(1) for column in known]
        scales = [max(float(column.std()), _LEAST_DEVIATION) for column in known]
        self._edges = np.stack([_edges(*one) for one in zip(known, scales, strict=True)])
        self._steps = np.diff(self._edges, axis=1) / np.array(scales)[:, None]
        self._discrete = np.array([len(np.unique(column)) <= _INNER_EDGES for column in known])[:, None]
        self._rows = len(reference)
        self._shares = _shares(self._table(self.counts(reference)))
        self._spread = (np.sqrt(self._shares * (1 - self._shares))[:, :-1] * self._steps).sum(axis=1)

    @property
    def width(self) -> int:
        """Length of the vector of counts."""
        return int(1 + len(self.names) * (self._edges.shape[1] + 1))

    def counts(self, features: FloatArray) -> FloatArray:
        """Return the number of rows (n, [steps,] features), then the counts of each feature; (width,)."""
        bins = self._edges.shape[1] + 1
        found = [
            np.bincount(np.searchsorted(edges, column[np.isfinite(column)]), minlength=bins)
            for edges, column in zip(self._edges, self._values(features), strict=True)
        ]
        return np.concatenate([[float(len(features))], *found]).astype(np.float64)

    def distances(self, counts: FloatArray, reference: FloatArray | None = None) -> FloatArray:
        """Return the distance of each feature, in standard deviations (..., features).

        Args:
            counts: of a window, (..., width).
            reference: counts (width,) to measure from in place of those of the reference.
        """
        expected = self._shares if reference is None else _shares(self._table(reference))
        apart = _shares(self._table(counts)) - expected
        before, after = apart[..., :-1], apart[..., 1:]
        # between two values of a few there is none, so the shares stay; others rise evenly
        between = np.where(self._discrete, before, (before + after) / 2)
        return np.asarray((np.abs(between) * self._steps).sum(axis=-1))

    def noise(self, rows: FloatArray | float, reference_rows: float | None = None) -> FloatArray:
        """Estimate the distance of each feature that so many independent rows have without drift.

        E W <= integral of sqrt(F (1 - F) / n): Bobkov and Ledoux (2019), "One-dimensional empirical
        measures, order statistics, and Kantorovich transport distances", theorem 3.2.
        """
        share = 1 / np.asarray(rows)[..., None] + 1 / (reference_rows or self._rows)
        return np.asarray(self._spread * np.sqrt(share))

    def _table(self, counts: FloatArray) -> FloatArray:
        return counts[..., 1:].reshape(*counts.shape[:-1], len(self.names), -1)

    def _values(self, features: FloatArray) -> FloatArray:
        """Return the values of the compared features, (features, n * steps)."""
        flat = features.reshape(-1, features.shape[-1])
        return flat[:, self._columns].T


class InputWindow:
    """The counts of the features over a sliding window.

    Attributes:
        reference: counts that stand for those before the window, while the detector is drifting.

    Args:
        bins: of the reference.
        settings: the limits.
        longest_s: the longest window that is evaluated.
    """

    def __init__(self, bins: ReferenceBins, settings: InputSettings, longest_s: float) -> None:
        self._bins = bins
        self._settings = settings
        self._tier = Tier(TIERS[0].bucket_s, longest_s)
        self._keeps_before = settings.against == "before"
        self._sums = Buckets(bins.width, (self._tier, TIERS[-1]) if self._keeps_before else (self._tier,))
        self.reference: FloatArray | None = None
        self._entities: dict[int, set[str]] = {}
        self._admitted: dict[int, int] = {}
        self._instances: dict[int, int] = {}

    @property
    def span_s(self) -> float:
        """The age up to which a row is evaluated."""
        return TIERS[-1].span_s if self._keeps_before else self._tier.span_s

    def freeze_reference(self, now_s: float) -> None:
        """Keep what the window is measured from as it is now, while the detector is drifting."""
        self.reference = self._before(now_s)

    def unfreeze_reference(self) -> None:
        """Let what the window is measured from move again."""
        self.reference = None

    def admit(self, at_s: float) -> bool:
        """Return whether a row at that time is to be added, and count it if so."""
        at = self.bucket(at_s)
        admitted = self._admitted.get(at, 0)
        if admitted >= self._settings.most_rows_per_s * self._tier.bucket_s:
            return False
        self._admitted[at] = admitted + 1
        return True

    def is_new(self, at_s: float, instance: int) -> bool:
        """Return whether an instance, by its hash, counts at that time: once in the longest window.

        One that is asked for again and again, as probes do, tells nothing new of the data.
        """
        at = self.bucket(at_s)
        last = self._instances.get(instance)
        if last is not None and abs(at - last) * self._tier.bucket_s < self._tier.span_s:
            return False
        self._instances[instance] = at
        return True

    def add(self, at_s: float, entities: set[str], features: FloatArray) -> None:
        """Add rows (n, [steps,] features) of one bucket."""
        self._sums.add(at_s, self._bins.counts(features))
        if self._settings.rows_per_entity is not None:
            self._entities.setdefault(self.bucket(at_s), set()).update(entities)

    def evaluate(self, now_s: float, window_s: float) -> Finding:
        """Compare the features of the window that ends now with the reference."""
        self._drop_old(now_s)
        counts = self._sums.total(now_s, window_s)
        rows = counts[0]
        if rows < self._settings.min_rows:
            return Finding(None, f"{rows:.0f} rows", {"rows": int(rows)})
        before = self._before(now_s) if self.reference is None else self.reference
        if before is not None and before[0] < self._settings.min_rows:
            return Finding(None, f"{before[0]:.0f} rows before", {"rows": int(rows)})
        independent = self._independent(rows, now_s, window_s)
        distances = self._bins.distances(counts, before)
        limits = noise_limits(self._bins, self._settings, independent, None if before is None else before[0])
        scores = distances / limits
        order = np.argsort(-scores)
        moved = [self._bins.names[i] for i in order if scores[i] >= 1]
        worst = order[0]
        evidence = {
            "window_s": window_s,
            "rows": int(rows),
            "independent_rows": float(independent),
            "drifted_share": len(moved) / len(distances),
            "distances": {self._bins.names[i]: round(float(distances[i]), 4) for i in order[:_SHOWN]},
            "limits": {self._bins.names[i]: round(float(limits[i]), 4) for i in order[:_SHOWN]},
        }
        reason = (
            f"{len(moved)} of {len(distances)} features have moved, most {self._bins.names[worst]}: "
            f"by {distances[worst]:.2f} standard deviations, allowed are {limits[worst]:.2f}"
        )
        return Finding(float(scores[worst]), reason, evidence)

    def _before(self, now_s: float) -> FloatArray | None:
        """Return the counts of the day before the longest window; None where the bundle has the reference."""
        if not self._keeps_before:
            return None
        day = self._sums.total(now_s, TIERS[-1].span_s)
        return np.maximum(day - self._sums.total(now_s, self._tier.span_s), 0.0)

    def _independent(self, rows: float, now_s: float, window_s: float) -> float:
        each = self._settings.rows_per_entity
        if each is None:
            return rows
        first = self.bucket(self._sums.since_s(now_s, window_s))
        entities = set[str]().union(*(some for at, some in self._entities.items() if at >= first))
        return min(rows, len(entities) * each)

    def _drop_old(self, now_s: float) -> None:
        oldest = self.bucket(self._sums.since_s(now_s, self._tier.span_s))
        self._entities = {at: some for at, some in self._entities.items() if at >= oldest}
        self._admitted = {at: count for at, count in self._admitted.items() if at >= oldest}
        self._instances = {one: at for one, at in self._instances.items() if at >= oldest}

    def bucket(self, at_s: float) -> int:
        """Return the number of the bucket of a time; rows of one bucket may be added together."""
        return int(at_s // self._tier.bucket_s)


def noise_limits(
    bins: ReferenceBins,
    settings: InputSettings,
    rows: FloatArray | float,
    reference_rows: float | None = None,
) -> FloatArray:
    """Return the limit of each feature's distance for so many independent rows."""
    return settings.threshold + _NOISE_FACTOR * bins.noise(rows, reference_rows)


def _edges(column: FloatArray, deviation: float) -> FloatArray:
    """Return increasing edges, a fixed number of them; the last is repeated where there are fewer."""
    inner = np.unique(np.quantile(column, np.linspace(0, 1, _INNER_EDGES), method="inverted_cdf"))
    found = np.concatenate([inner[0] - _TAILS[::-1] * deviation, inner, inner[-1] + _TAILS * deviation])
    return np.pad(found, (0, _INNER_EDGES + 2 * len(_TAILS) - len(found)), mode="edge")


def _shares(table: FloatArray) -> FloatArray:
    """Return the share at or below each edge, (..., edges), from counts (..., edges + 1)."""
    cumulated = np.cumsum(table, axis=-1)
    return np.asarray(cumulated[..., :-1] / np.maximum(cumulated[..., -1:], 1.0))
