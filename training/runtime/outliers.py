"""Outlier scores of instances against a reference sample of the training data. Pure numpy.

The distance is Mahalanobis's, with a covariance that is shrunk to the identity, the covariance of scaled
features that are independent: Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional
covariance matrices", with the target fixed. The score is the share of reference rows that lie nearer, which
is 1 - p of the conformal p-value, but for n in place of n + 1: Bates, Candes, Lei, Romano and Sesia (2023),
"Testing for outliers with conformal p-values".

A row lies nearer to a shape that was fitted to it than a new one does. So the distance of each reference row
is from a shape that was fitted without its block of rows; references are in the order of the records, and
blocks keep most windows of one flight together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BLOCKS = 10

# Directions in which the reference hardly varies are not looked at closer than this share of a feature's
# own deviation: features are float32, and derived from each other.
_LEAST_VARIANCE = 1e-3
# Far beyond any reference, and its square is still a finite number.
_MOST_DEVIATIONS = 1e9


@dataclass(frozen=True)
class Shape:
    """The bulk of the rows: distances are Euclidean after ``(x - mean) @ whitening``.

    Attributes:
        mean: (d,).
        whitening: (d, d), its product with its transpose is the inverse of the covariance.
    """

    mean: FloatArray
    whitening: FloatArray

    @classmethod
    def fit(cls, rows: FloatArray) -> Self:
        """Fit to scaled rows (n, d), finite."""
        mean = rows.mean(axis=0)
        variance, directions = np.linalg.eigh(_shrunk_covariance(rows - mean))
        return cls(mean, directions / np.sqrt(np.maximum(variance, _LEAST_VARIANCE)))

    def squared_distances(self, rows: FloatArray) -> FloatArray:
        """(n, d) -> (n,). A value that is not known lies at the mean."""
        centred = np.clip(rows - self.mean, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        white = centred @ self.whitening
        squared = np.einsum("nd,nd->n", white, white)
        if np.isnan(squared).any():
            return self.squared_distances(np.where(np.isnan(rows), self.mean, rows))
        return np.asarray(squared)


class OutlierScorer:
    """Scores rows of scaled features against those of a reference.

    Args:
        reference: (n, d) or (n, steps, d), scaled; n at least 2.
    """

    def __init__(self, reference: NDArray[np.floating]) -> None:
        rows = np.nan_to_num(_flat(reference))
        self._shape = Shape.fit(rows)
        self._distances = np.sort(_held_out_distances(rows))

    def score(self, matrix: NDArray[np.floating]) -> FloatArray:
        """Return the share of the reference that lies nearer, (n,); 1 is farther out than all of it.

        Features of sequences are laid side by side: by the last step and the mean alone, a jump in the
        middle of a window would hardly be seen.

        Args:
            matrix: (n, d) or (n, steps, d), scaled as the reference was.
        """
        distances = self._shape.squared_distances(_flat(matrix))
        return np.searchsorted(self._distances, distances, side="left") / len(self._distances)


def _flat(matrix: NDArray[np.floating]) -> FloatArray:
    return matrix.reshape(len(matrix), -1).astype(np.float64)


def _held_out_distances(rows: FloatArray) -> FloatArray:
    found = []
    for block in np.array_split(np.arange(len(rows)), min(BLOCKS, len(rows))):
        others = np.delete(rows, block, axis=0)
        found.append(Shape.fit(others).squared_distances(rows[block]))
    return np.concatenate(found)


def _shrunk_covariance(centred: FloatArray) -> FloatArray:
    """Return the covariance of centred rows (n, d), shrunk to the identity by as much as its noise demands.

    The noise, sum of the variances of its entries, is ``mean |x x^T - S|^2 / n``; the share of the identity
    is noise over ``|S - I|^2``.
    """
    rows, width = centred.shape
    covariance = centred.T @ centred / rows
    squares = np.einsum("nd,nd->n", centred, centred) ** 2
    noise = max(float(squares.mean() - np.sum(covariance**2)) / rows, 0.0)
    # a column that never varied here has the variance that scaling takes it to have
    constant = np.flatnonzero(np.diag(covariance) == 0)
    covariance[constant, constant] = 1.0
    identity = np.eye(width)
    away = float(np.sum((covariance - identity) ** 2))
    share = 1.0 if away <= noise else noise / away
    return np.asarray((1 - share) * covariance + share * identity)
