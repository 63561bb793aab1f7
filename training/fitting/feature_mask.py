"""The mask of features that a family does not learn from."""

from __future__ import annotations

from fnmatch import filter as fitting

import numpy as np
from numpy.typing import NDArray

from training.fitting.data import Params, Split


def visible_features(params: Params, split: Split) -> NDArray[np.bool_]:
    """Return (features,), False for those that the parameter `masked_features` names.

    The parameter holds patterns such as `route_*`, separated by blanks.

    Raises:
        ValueError: a pattern fits no feature of the split.
    """
    # cards of bundles made before 0.2 have the old name
    patterns = str(params.get("masked_features", params.get("unseen", ""))).split()
    hidden: set[str] = set()
    for pattern in patterns:
        found = fitting(split.features, pattern)
        if not found:
            known = ", ".join(split.features)
            raise ValueError(f"masked_features: got {pattern!r}, expected some of {known}")
        hidden.update(found)
    if not hidden:
        return np.ones(split.x.shape[-1], dtype=bool)
    return np.array([name not in hidden for name in split.features])
