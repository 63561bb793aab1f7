"""Ensembles: call the members, and blend their answers into one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import Downstream
from deployments.domain.routing import ArmVersion, EnsembleVersion
from deployments.inference.ensemble_weights import RollingErrors
from training.runtime.tasks.base import ArmAnswer, Task, stack_answers

FloatArray = NDArray[np.float64]


class Ensemble:
    """An `ArmCall` that knows ensembles too; calls of other arms go through unchanged.

    Args:
        downstream: the arms that have models.
        task: blends their predictions.
        errors: of the models; the shares come from them.
    """

    def __init__(self, downstream: Downstream, task: Task, errors: RollingErrors) -> None:
        self._downstream = downstream
        self._task = task
        self._errors = errors

    async def __call__(self, arm: str, version: ArmVersion, raw: FloatArray) -> Sequence[ArmAnswer]:
        """Return the answers of the arm; see `Downstream`; every member of an ensemble has to answer."""
        if not isinstance(version, EnsembleVersion):
            return await self._downstream(arm, version, raw)
        by_member = await asyncio.gather(*(self._downstream(*member, raw) for member in version.members))
        return self.blend(version, by_member)

    def shares(self, version: EnsembleVersion) -> dict[str, float]:
        """Return the present share of each member, by arm."""
        settings = version.settings
        bundles = [member.bundle for _, member in version.members]
        weights = self._errors.weights(bundles, settings.window, settings.min_truths)
        return dict(zip(settings.arms, weights.tolist(), strict=True))

    def blend(self, version: EnsembleVersion, by_member: Sequence[Sequence[ArmAnswer]]) -> list[ArmAnswer]:
        """Make one answer an instance of the answers of each member.

        The coverage is the least of theirs, and no more than a name: a blend is narrower than its errors
        only as far as its members agree.
        """
        shares = self.shares(version)
        parts = [stack_answers(self._task, answers) for answers in by_member]
        blended = self._task.blend(parts, np.array(list(shares.values())))
        coverage = min(answers[0].coverage for answers in by_member)
        return [
            blend._replace(outlier_score=_largest_score(answers), members=_members(version, shares, answers))
            for blend, *answers in zip(self._task.answers(blended, coverage), *by_member, strict=True)
        ]


def _largest_score(answers: Sequence[ArmAnswer]) -> float | None:
    """Return the largest score: where one of the members extrapolates, so does the blend."""
    return max((one.outlier_score for one in answers if one.outlier_score is not None), default=None)


def _members(
    version: EnsembleVersion, shares: dict[str, float], answers: Sequence[ArmAnswer]
) -> dict[str, dict[str, Any]]:
    """Return the answer of each member by its arm, as the journal keeps it."""
    return {
        arm: {
            "model_version": member.model_version,
            "bundle": member.bundle,
            "share": shares[arm],
            "prediction": answer.prediction,
            "interval": answer.region,
            "coverage": answer.coverage,
            "level": answer.level,
            "outlier_score": answer.outlier_score,
        }
        for (arm, member), answer in zip(version.members, answers, strict=True)
    }
