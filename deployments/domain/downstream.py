"""The scaler and the arms, as the router sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.domain.routing import ArmVersion
from training.runtime.tasks.base import Row


class DownstreamError(RuntimeError):
    """An arm or the scaler did not answer a call."""


class Downstream(Protocol):
    """Scaler and arm: raw instances in, one row an instance out, of exactly this version."""

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[Row]:
        """Answer (n, *raw_shape) with n rows, as a part of `trace` if one is given.

        Raises:
            DownstreamError: no answer.
        """
        ...
