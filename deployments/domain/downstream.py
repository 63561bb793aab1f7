"""The scaler and the arms, as the Router calls them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.domain.routing import ArmVersion
from training.runtime.tasks.base import ArmAnswer

# Raw instances (n, *raw_shape) in, an answer each out, of exactly this version of an arm or an ensemble.
ArmCall = Callable[[str, ArmVersion, NDArray[np.float64]], Awaitable[Sequence[ArmAnswer]]]


class DownstreamError(RuntimeError):
    """An arm or the scaler did not answer a call."""


class Downstream(Protocol):
    """Scaler and arm: an `ArmCall` that may be part of a trace."""

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        """Answer (n, *raw_shape) with n answers, as a part of `trace` if one is given.

        Raises:
            DownstreamError: no answer.
        """
        ...
