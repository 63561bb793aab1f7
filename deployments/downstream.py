"""The scaler and the arms as the Router asks them: one call at a time for all that is due at it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.batches import Failed, PredictedBatch, RawBatch
from deployments.handles import Handle, method_of, reason_of
from deployments.joint_calls import JointCalls
from deployments.levels import Levels
from deployments.predictor import DownstreamError
from deployments.routing import ArmVersion
from training.tasks.base import Row, Task

# of raw rows for several arms in one call; Serve takes messages of up to 4 MiB
_MOST_JOINT_BYTES = 512 * 1024


class ServeDownstream:
    """`Downstream` over Serve. The scaler asks the arms, so that the Router has one answer to wait for.

    Args:
        task: makes rows of what an arm predicts.
        scaler: the FeatureScaler.
        levels: all rows of a call get regions of the level that is in force when it is sent.
    """

    def __init__(self, task: Task, scaler: Handle, levels: Levels) -> None:
        self._task = task
        self._levels = levels
        one, each = method_of(scaler, "predict"), method_of(scaler, "predict_each", streams=True)
        self._calls: JointCalls[RawBatch, PredictedBatch | Failed] = JointCalls(
            one.remote, each.remote, lambda batch: batch.raw.nbytes, _MOST_JOINT_BYTES
        )

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[Row]:
        """See `Downstream`."""
        level = self._levels.of(arm, version.bundle)
        try:
            answer = await self._calls(RawBatch(arm, version, raw, level, trace))
        except Exception as error:
            # Ray raises what the callee raised, mixed with types of its own: all mean that this call failed
            raise DownstreamError(f"{arm} {version.model_version}: {reason_of(error)}") from error
        if isinstance(answer, Failed):
            raise DownstreamError(f"{arm} {version.model_version}: {answer.reason}")
        if answer.bundle != version.bundle:
            raise DownstreamError(f"{arm}: asked for {version.bundle}, answered by {answer.bundle}")
        return Row.scored(self._task.rows(answer.predicted, answer.coverage), answer.outlier_score, level)
