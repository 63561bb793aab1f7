"""Adaptive conformal inference: the level of an arm's regions moves with the truths that come in. Pure.

Source: Gibbs and Candes (2021), "Adaptive conformal inference under distribution shift", equation 2:
``alpha_{t+1} = alpha_t + gamma (alpha - err_t)``. Whatever the truths do, the mean of ``err_t`` over T of
them is within ``(max(alpha_1, 1 - alpha_1) + gamma) / (T gamma)`` of alpha (their proposition 4.1).

Two things differ here. There the truth is known before the next region is made. Here it comes later, often
hundreds of regions later, and ``err_t`` is that of the region as it would be at the present level, not of the
one that was served: the recursion is then that of the paper over the errors in the order in which they become
known, and the proposition holds of it. By the misses of what was served the level goes on moving for as long
as truths take, and with a gamma of 0.01 and 300 truths of delay it swings from end to end.

And there regions are made at ``1 - alpha_t``. Where few miss, one step of ``alpha_t`` is a multiple of what
misses, and regions would jump between two widths. So below a miss of 0.05 ``alpha_t`` counts its decades. Any
increasing function will do: the proof takes only that regions at both ends hold all or nothing.
"""

from __future__ import annotations

import math

from training.runtime.tasks.intervals import LEAST_MISS

_FINEST = 1e-3
_BENT_AT = 0.05
# Smaller steps are calmer, and take longer to where noise has trebled: 500 truths after it has, coverage was
# within 3 points in the mean of those 500.
_DECADE = 0.02


class AdaptiveLevel:
    """The level of one arm.

    >>> level = AdaptiveLevel(nominal=0.9, step=0.01)
    >>> level.update(covered=0.0)
    >>> level.coverage
    0.909

    Args:
        nominal: share of truths that regions shall hold.
        step: gamma of the paper; larger follows faster and wavers more.
        alpha: alpha_1; that of `nominal` by default.
    """

    def __init__(self, nominal: float, step: float, alpha: float | None = None) -> None:
        self.nominal = nominal
        self.alpha = _alpha_for(1 - nominal) if alpha is None else alpha
        self.truths = 0
        self._step = step

    @property
    def coverage(self) -> float:
        """The level at which to make regions now, in (0, 1), by `round_level`."""
        return round_level(1 - min(max(_miss_share(self.alpha), LEAST_MISS), 1 - LEAST_MISS))

    def update(self, covered: float) -> None:
        """Add a truth: 1 if the region at `coverage` holds it, 0 if not, a share for a path's circles."""
        self.truths += 1
        moved = self.alpha + self._step * ((1 - self.nominal) - (1 - covered))
        # farther than a step beyond the ends only errors lead that no region holds; it would not come back
        self.alpha = min(max(moved, _alpha_for(LEAST_MISS) - self._step), 1 + self._step)


def round_level(coverage: float) -> float:
    """Round to a thousandth, and finer where fewer miss: the share of misses keeps two figures.

    A level that comes back is the same number again, so that answers cached by it are found.

    >>> round_level(0.91234), round_level(0.9987654)
    (0.912, 0.9988)
    """
    places = max(3, 1 - math.floor(math.log10(1 - coverage)))
    return max(round(coverage, places), _FINEST)


def _miss_share(alpha: float) -> float:
    """Return the share of misses for which regions are made."""
    return alpha if alpha >= _BENT_AT else float(_BENT_AT * 10 ** ((alpha - _BENT_AT) / _DECADE))


def _alpha_for(miss: float) -> float:
    """Invert `_miss_share`."""
    return miss if miss >= _BENT_AT else _BENT_AT + _DECADE * math.log10(miss / _BENT_AT)
