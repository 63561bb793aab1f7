"""A count of the calls of each arm that have no answer yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import Downstream
from deployments.domain.routing import ArmVersion
from training.runtime.tasks.base import ArmAnswer


class CallsInFlight:
    """A `Downstream` that counts the calls under way: for requests, for ensembles and for shadows.

    Attributes:
        by_arm: calls that have no answer yet.
    """

    def __init__(self, downstream: Downstream) -> None:
        self.by_arm: Counter[str] = Counter()
        self._downstream = downstream

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        """Return the answers of the arm; see `Downstream`."""
        self.by_arm[arm] += 1
        try:
            return await self._downstream(arm, version, raw, trace)
        finally:
            self.by_arm[arm] -= 1
