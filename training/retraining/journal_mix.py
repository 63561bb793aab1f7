"""The splits of a retraining: the newest pairs of the journal are the test, the others join the source.

Nothing is drawn, so that a retraining that was cut off finds the same splits again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset, joined
from training.data.splits import Splits, split_by_time

# Of the older pairs; they are partitioned in the order of `split_by_time`.
_TRAIN, _VALID, _CALIBRATE = 0.6, 0.15, 0.25
_BLOCKS = 24
# With fewer pairs than these the bands are set on the source too, whose truths may be of other times.
_ENOUGH_TO_CALIBRATE = 100


def split_journal(pairs: Dataset, held_out: float, *, whole_entities: bool) -> Splits:
    """Return the newest pairs as test; blocks of the older ones partitioned into train, valid and calibrate.

    Args:
        pairs: in the order of their predictions.
        held_out: share of the pairs, or entities, in the test.
        whole_entities: whether an entity has one truth, so that all its pairs belong into one part. It is as
            old as its first pair.
    """
    age = _first_rank(pairs.group) if whole_entities else np.arange(len(pairs.target))
    rest = 1 - held_out
    shares = (_TRAIN * rest, _VALID * rest, _CALIBRATE * rest, held_out)
    return split_by_time(pairs, shares, _BLOCKS, age.astype(np.float64))


def mix(source: Splits, journal: Splits, share: float) -> Splits:
    """Return both to learn from, and the test of the journal.

    Args:
        source: of the workload's own data.
        journal: as `split_journal` made them.
        share: of the weight, that pairs of the journal have in train and in valid.
    """
    calibrate = [journal.calibrate]
    if len(journal.calibrate.target) < _ENOUGH_TO_CALIBRATE:
        calibrate.append(source.calibrate)
    return Splits(
        train=_weighted(source.train, journal.train, share),
        valid=_weighted(source.valid, journal.valid, share),
        calibrate=joined(calibrate),
        test=journal.test,
    )


def _weighted(source: Dataset, journal: Dataset, share: float) -> Dataset:
    both = joined([source, journal])
    count = len(source.target)
    weight = both.weight.copy()
    weight[:count] *= (1 - share) / max(weight[:count].sum(), 1e-12)
    weight[count:] *= share / max(weight[count:].sum(), 1e-12)
    return replace(both, weight=weight / weight.mean())


def _first_rank(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) how many other entities appeared before that of each row."""
    _, first, code = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[code]
