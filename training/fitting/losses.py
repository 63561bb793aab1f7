"""The one number by which parameters are chosen and fits are stopped early."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.fitting.data import Split

# A class that comes although it was called impossible costs log(1e6) = 14, not infinity.
_LEAST_PROBABILITY = 1e-6


def split_loss(outputs: NDArray[np.floating[Any]], split: Split) -> float:
    """Return how far `outputs` is from the target of `split`, each row by its weight.

    Args:
        outputs: (n, outputs), see `training.families.base.Fitted.predict`.

    Returns:
        Numbers: the mean absolute error of the outputs that are known, in scaled units; a group of outputs
        counts as one, by its distance, where all of them are known. Classes: the mean of the negative
        logarithm of the probability of what was true.

    Raises:
        ZeroDivisionError: no output is known.
    """
    if split.kind == "classes":
        likelihood = np.clip((outputs * split.y).sum(axis=1), _LEAST_PROBABILITY, 1)
        return float(np.average(-np.log(likelihood), weights=split.weight))
    error = outputs - split.y
    distances = [np.sqrt(np.square(error[:, list(group)]).sum(axis=1)) for group in split.groups]
    alone = np.setdiff1d(np.arange(error.shape[1]), np.concatenate([*split.groups, ()]))
    away = np.column_stack([*distances, np.abs(error[:, alone.astype(np.int64)])])
    known = ~np.isnan(away)
    weight = np.broadcast_to(split.weight[:, None], away.shape)[known]
    return float(np.average(away[known], weights=weight))
