"""Shares of rows with something wrong about them, against what they were before the window. Pure.

The bundle does not tell how often fields were missing in training, and senders differ from it anyway. So the
reference is what came in the day before the window; it stands still while the detector is hot, or what is
wrong would become what is normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.watching.buckets import TIERS, Buckets
from deployments.watching.hysteresis import Finding
from deployments.watching.settings import QualitySettings
from features.contract import Contract

FloatArray = NDArray[np.float64]

_MEMORY_S = TIERS[-1].span_s


class QualityWindow:
    """How many rows were filled by rule, and how many had gaps, by field.

    Args:
        contract: of the workload; required fields are never missing in what was answered.
        settings: what is too much.
        longest_s: the longest window that is looked at; the reference lies before it.
    """

    def __init__(self, contract: Contract, settings: QualitySettings, longest_s: float) -> None:
        self._steps = contract.window.steps if contract.window else 1
        self._fields = tuple(spec.name for spec in contract.fields if not spec.required)
        self.names = tuple(f"{what}.{name}" for name in self._fields for what in ("filled", "missing"))
        self._settings = settings
        self._longest_s = longest_s
        self._sums = Buckets(1 + len(self.names))
        self.reference: dict[str, float] | None = None

    def add(self, at_s: float, filled: Mapping[str, int]) -> None:
        """Take an answered row, with how many values of it were filled by field."""
        sums = np.zeros(1 + len(self.names))
        sums[0] = 1.0
        for number, name in enumerate(self._fields):
            values = filled.get(name, 0)
            if values:
                # a field that was not sent at all is filled by its rule, a gap from what is around it
                sums[1 + 2 * number + (values < self._steps)] = 1.0
        self._sums.add(at_s, sums)

    def shares(self, now_s: float, window_s: float) -> dict[str, float]:
        """Share of rows by name; empty without rows."""
        total = self._sums.total(now_s, window_s)
        return dict(zip(self.names, (total[1:] / total[0]).tolist(), strict=True)) if total[0] else {}

    def hold(self, now_s: float) -> None:
        """Let the reference stand as it is now, from when the detector turns hot."""
        self.reference = self._before(now_s)[1]

    def release(self) -> None:
        """Let it move again."""
        self.reference = None

    def look(self, now_s: float, window_s: float) -> Finding:
        """The shares of the window that ends now against those before it."""
        rows = float(self._sums.total(now_s, window_s)[0])
        before_rows, before = self._before(now_s)
        if self.reference is not None:
            before_rows, before = max(before_rows, self._settings.min_rows), self.reference
        if not self.names or min(rows, before_rows) < self._settings.min_rows:
            return Finding(None, f"{rows:.0f} rows", {"rows": int(rows)})
        now = self.shares(now_s, window_s)
        shared = [name for name in self.names if name in before]
        scores = scores_of(
            self._settings,
            np.array([now[name] for name in shared]),
            np.array([before[name] for name in shared]),
            rows,
            before_rows,
        )
        worst = int(np.argmax(scores))
        name = shared[worst]
        evidence = {"window_s": window_s, "rows": int(rows), "shares": now, "reference": dict(before)}
        reason = f"{name}: {now[name]:.1%} of {rows:.0f} rows, {before[name]:.1%} before"
        return Finding(float(scores[worst]), reason, evidence)

    def _before(self, now_s: float) -> tuple[float, dict[str, float]]:
        """Rows and shares of the day, without the longest window."""
        total = self._sums.total(now_s, _MEMORY_S) - self._sums.total(now_s, self._longest_s)
        if total[0] <= 0:
            return 0.0, {}
        return float(total[0]), dict(zip(self.names, (total[1:] / total[0]).tolist(), strict=True))


def scores_of(
    settings: QualitySettings,
    now: FloatArray,
    before: FloatArray,
    rows: Sequence[float] | FloatArray | float,
    before_rows: Sequence[float] | FloatArray | float,
) -> FloatArray:
    """Change of shares over what is let pass: `change`, and `z` standard errors of a difference of shares."""
    rows, before_rows = np.asarray(rows), np.asarray(before_rows)
    pooled = (now * rows + before * before_rows) / (rows + before_rows)
    error = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / before_rows))
    return np.asarray(np.abs(now - before) / (settings.change + settings.z * error))
