"""The quality detector: shares of faulty requests, against those before the window. Pure.

The bundle does not say how often fields were missing in training, and senders differ from it anyway. So the
reference is what came in the day before the window. It stands still while the detector is drifting, or what
is wrong would become what is normal.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.buckets import TIERS, Buckets
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import QualitySettings
from features.contract import Contract

FloatArray = NDArray[np.float64]

# as stored references spell it
REJECTED = "refused"
_MEMORY_S = TIERS[-1].span_s


class QualityWindow:
    """The shares of rejected requests, and of rows that were filled by rule or had gaps, by field.

    Attributes:
        names: of the shares.
        reference: shares that stand for those before the window, while the detector is drifting.

    Args:
        contract: of the workload; required fields are never missing in what was answered.
        settings: the limits.
        longest_s: the longest window that is evaluated; the reference lies before it.
    """

    def __init__(self, contract: Contract, settings: QualitySettings, longest_s: float) -> None:
        self._steps = contract.window.steps if contract.window else 1
        self._fields = tuple(spec.name for spec in contract.fields if not spec.required)
        fields = (f"{what}.{name}" for name in self._fields for what in ("filled", "missing"))
        self.names = (REJECTED, *fields)
        self.reference: dict[str, float] | None = None
        self._settings = settings
        self._longest_s = longest_s
        self._sums = Buckets(1 + len(self.names))  # rows that were answered, then one sum a name

    def add(self, at_s: float, filled: Mapping[str, int]) -> None:
        """Add an answered row, with the number of its values that were filled, by field."""
        sums = np.zeros(1 + len(self.names))
        sums[0] = 1.0
        for number, name in enumerate(self._fields):
            values = filled.get(name, 0)
            if values:
                # a field that was not sent at all is filled by its rule, a gap from what is around it
                sums[2 + 2 * number + (values < self._steps)] = 1.0
        self._sums.add(at_s, sums)

    def add_rejections(self, at_s: float, requests: int) -> None:
        """Add requests that were rejected for their content."""
        sums = np.zeros(1 + len(self.names))
        sums[1] = requests
        self._sums.add(at_s, sums)

    def freeze_reference(self, now_s: float) -> None:
        """Keep the reference as it is now, while the detector is drifting."""
        shares, _ = _shares(self._before(now_s))
        self.reference = dict(zip(self.names, shares.tolist(), strict=True))

    def unfreeze_reference(self) -> None:
        """Let the reference move again."""
        self.reference = None

    def evaluate(self, now_s: float, window_s: float) -> Finding:
        """Compare the shares of the window that ends now with those before it."""
        least = self._settings.min_rows
        now, rows = _shares(self._sums.total(now_s, window_s))
        before, before_rows = _shares(self._before(now_s))
        if self.reference is not None:
            before = np.array([self.reference.get(name, 0.0) for name in self.names])
            before_rows = np.maximum(before_rows, least)
        is_known = (rows >= least) & (before_rows >= least)
        if not is_known.any():
            return Finding(None, f"{rows[0]:.0f} requests", {"requests": int(rows[0])})
        scores = np.zeros(len(self.names))
        scores[is_known] = quality_scores(
            self._settings, now[is_known], before[is_known], rows[is_known], before_rows[is_known]
        )
        worst = int(np.argmax(scores))
        evidence = {
            "window_s": window_s,
            "requests": int(rows[0]),
            "shares": dict(zip(self.names, now.round(4).tolist(), strict=True)),
            "reference": dict(zip(self.names, before.round(4).tolist(), strict=True)),
        }
        reason = (
            f"{self.names[worst]}: {now[worst]:.1%} of {rows[worst]:.0f} requests, {before[worst]:.1%} before"
        )
        return Finding(float(scores[worst]), reason, evidence)

    def _before(self, now_s: float) -> FloatArray:
        """Return the sums of the day before the longest window."""
        day = self._sums.total(now_s, _MEMORY_S)
        return np.maximum(day - self._sums.total(now_s, self._longest_s), 0.0)


def quality_scores(
    settings: QualitySettings,
    now: FloatArray,
    before: FloatArray,
    rows: FloatArray | float,
    before_rows: FloatArray | float,
) -> FloatArray:
    """Return the changes of shares over the accepted ones: `change` and `z` standard errors."""
    rows, before_rows = np.asarray(rows), np.asarray(before_rows)
    pooled = (now * rows + before * before_rows) / (rows + before_rows)
    error = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / before_rows))
    return np.asarray(np.abs(now - before) / (settings.change + settings.z * error))


def _shares(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each share, and its whole; rejected requests are not among the answered ones."""
    wholes = np.full(len(total) - 1, total[0])
    wholes[0] += total[1]
    return total[1:] / np.maximum(wholes, 1.0), wholes
