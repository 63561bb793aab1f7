"""Features that a family is told not to look at."""

from __future__ import annotations

from fnmatch import filter as fitting

import numpy as np
from numpy.typing import NDArray

from training.fitting.data import Params, Split


def seen(params: Params, split: Split) -> NDArray[np.bool_]:
    """(features,) False for those that the parameter `unseen` names: patterns such as `route_*`, by blanks.

    Raises:
        ValueError: a pattern fits no feature of the split.
    """
    patterns = str(params.get("unseen", "")).split()
    hidden: set[str] = set()
    for pattern in patterns:
        found = fitting(split.features, pattern)
        if not found:
            raise ValueError(f"unseen: got {pattern!r}, expected some of {', '.join(split.features)}")
        hidden.update(found)
    if not hidden:
        return np.ones(split.x.shape[-1], dtype=bool)
    return np.array([name not in hidden for name in split.features])
