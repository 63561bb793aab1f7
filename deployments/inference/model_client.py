"""The scaler and the arms as the Router asks them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import DownstreamError
from deployments.domain.routing import ArmVersion
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.messages import PredictedBatch, RawBatch
from deployments.rpc.client import RpcClient
from deployments.rpc.serve_handles import reason_text
from training.runtime.tasks.base import Row, Task


class ModelClient:
    """`Downstream` over Serve. The scaler asks the arms, so that the Router has one answer to wait for.

    Args:
        task: makes rows of what an arm predicts.
        scaler: `predict` of the FeatureScaler.
        levels: all rows of a call get regions of the level that is in force when it is sent.
    """

    def __init__(self, task: Task, scaler: RpcClient, levels: CoverageLevels) -> None:
        self._task = task
        self._levels = levels
        self._scaler = scaler

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[Row]:
        """See `Downstream`."""
        level = self._levels.of(arm, version.bundle)
        try:
            answer: PredictedBatch = await self._scaler(RawBatch(arm, version, raw, level, trace))
        except Exception as error:
            # Ray raises what the callee raised, mixed with types of its own: all mean that this call failed
            raise DownstreamError(f"{arm} {version.model_version}: {reason_text(error)}") from error
        if answer.bundle != version.bundle:
            raise DownstreamError(f"{arm}: asked for {version.bundle}, answered by {answer.bundle}")
        return Row.scored(self._task.rows(answer.predicted, answer.coverage), answer.outlier_score, level)
