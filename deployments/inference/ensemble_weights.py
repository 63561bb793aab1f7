"""The last errors of models, and the share of each in an ensemble. Pure.

The shares are inverse to the mean squared errors: of two unbiased forecasts with independent errors that is
the mean with the least squared error (Bates and Granger 1969, "The combination of forecasts", which takes
the last errors too). Errors of members do correlate; shares that reckon with that are estimated worse from
a few hundred errors than they gain (Timmermann 2006, "Forecast combinations").
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from deployments.domain.ensembles import MOST_TRUTHS

MODELS_KEPT = 64

# so that a member that was all but perfect lately does not have the whole weight
_LEAST_PART_OF_WORST = 1e-4


class RollingErrors:
    """The last errors of each model, by the hash of its bundle: a new version starts without a past.

    >>> errors = RollingErrors()
    >>> for _ in range(30):
    ...     errors.add("one", 1.0)
    ...     errors.add("other", 2.0)
    >>> errors.weights(["one", "other"], window=30, min_truths=30)
    array([0.8, 0.2])

    Args:
        most: errors kept of a model.
        models: that are kept; the one whose last error is oldest goes first.
    """

    def __init__(self, most: int = MOST_TRUTHS, models: int = MODELS_KEPT) -> None:
        self._most = most
        self._models = models
        self._errors: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, bundle: str, error: float) -> None:
        """Take an error, >= 0; one that is not finite is left out."""
        if not np.isfinite(error):
            return
        self._errors.setdefault(bundle, deque(maxlen=self._most)).append(error)
        self._errors.move_to_end(bundle)
        if len(self._errors) > self._models:
            self._errors.popitem(last=False)

    def truths(self, bundle: str) -> int:
        """Return how many errors of the model are kept."""
        return len(self._errors.get(bundle, ()))

    def weights(self, bundles: Sequence[str], window: int, min_truths: int) -> NDArray[np.float64]:
        """Return shares that sum to 1, (bundles,); equal ones until each model has `min_truths`.

        Args:
            bundles: of the members.
            window: the last errors of each that count.
            min_truths: errors that each needs.
        """
        if min(map(self.truths, bundles)) < min_truths:
            return np.full(len(bundles), 1 / len(bundles))
        squared = np.array([self._mean_square(bundle, window) for bundle in bundles])
        worst = squared.max()
        # as parts of the worst: the inverse of a tiny square would be infinite
        of_worst = squared / worst if worst > 0 else np.ones(len(bundles))
        inverse = 1 / np.maximum(of_worst, _LEAST_PART_OF_WORST)
        return np.asarray(inverse / inverse.sum())

    def _mean_square(self, bundle: str, window: int) -> float:
        last = list(islice(reversed(self._errors[bundle]), window))
        return float(np.mean(np.square(last)))
