"""Single instances that wait for an arm; those of the same version go in one call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import ArmCall
from deployments.domain.routing import ArmVersion
from deployments.runtime.batching import Coalescer
from training.runtime.tasks.base import ArmAnswer

FloatArray = NDArray[np.float64]


class ArmQueue:
    """The queues of one router replica, one a version of an arm; belongs to one event loop.

    Args:
        call_arm: answers the instances that wait together.
        coalescer: makes what merges concurrent requests.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        call_arm: ArmCall,
        coalescer: Callable[..., Coalescer[Any, Any, Any]] = Coalescer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call_arm = call_arm
        self._coalescer: Coalescer[tuple[str, ArmVersion], FloatArray, ArmAnswer] = coalescer(
            self._call_with_rows, clock=clock
        )

    def ask(self, arm: str, version: ArmVersion, raw: FloatArray, patience_s: float) -> Awaitable[ArmAnswer]:
        """Return the answer about one instance, (*raw_shape); see `Coalescer.submit` for what is raised."""
        return self._coalescer.submit((arm, version), raw, patience_s)

    def is_busy(self, arm: str) -> bool:
        """Return whether requests wait for the arm."""
        return self.waiting_rows()[arm] > 0

    def waiting_rows(self) -> Counter[str]:
        """Count the instances that wait to be sent, by arm."""
        rows: Counter[str] = Counter()
        for (arm, _), waiting in self._coalescer.all_waiting().items():
            rows[arm] += waiting
        return rows

    async def _call_with_rows(
        self, key: tuple[str, ArmVersion], rows: list[FloatArray]
    ) -> Sequence[ArmAnswer]:
        arm, version = key
        return await self._call_arm(arm, version, np.stack(rows))
