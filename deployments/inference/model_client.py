"""The client of the scaler and the arms, in the Router."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import DownstreamError
from deployments.domain.routing import ArmVersion
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.messages import PredictedMessage, RawBatch
from deployments.rpc.client import RpcClient
from deployments.rpc.serve_handles import reason_text
from training.runtime.tasks.base import ArmAnswer, Task, add_scores


class ModelClient:
    """A `Downstream` over Serve. The scaler asks the arms, so that the Router has one answer to wait for.

    Args:
        task: makes answers of the arrays that an arm predicts.
        scaler: `predict` of the FeatureScaler.
        levels: all answers of a call get regions of the level that is in force when it is sent.
    """

    def __init__(self, task: Task, scaler: RpcClient, levels: CoverageLevels) -> None:
        self._task = task
        self._levels = levels
        self._scaler = scaler

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        """Return the answers of the arm; see `Downstream`."""
        level = self._levels.level(arm, version.bundle)
        try:
            message: PredictedMessage = await self._scaler(RawBatch(arm, version, raw, level, trace))
        except Exception as error:
            # Ray raises the callee's exception, mixed with types of its own: all mean that this call failed
            raise DownstreamError(f"{arm} {version.model_version}: {reason_text(error)}") from error
        if message.bundle != version.bundle:
            raise DownstreamError(f"{arm}: asked for {version.bundle}, answered by {message.bundle}")
        return add_scores(
            self._task.answers(message.predicted, message.coverage), message.outlier_score, level
        )
