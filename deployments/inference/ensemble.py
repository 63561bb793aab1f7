"""Asks the members of an ensemble and makes one answer of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import Downstream
from deployments.domain.predictions import Blended, Said
from deployments.domain.routing import ArmVersion, EnsembleVersion
from deployments.inference.ensemble_weights import RollingErrors
from training.runtime.tasks.base import Row, Task, stack_rows

FloatArray = NDArray[np.float64]


class Ensemble:
    """A downstream that knows ensembles too; what is asked of other arms goes through as it is.

    Args:
        downstream: the arms that have models.
        task: blends their predictions.
        errors: of the models, from which the shares are.
    """

    def __init__(self, downstream: Downstream, task: Task, errors: RollingErrors) -> None:
        self._downstream = downstream
        self._task = task
        self._errors = errors

    async def __call__(self, arm: str, version: ArmVersion, raw: FloatArray) -> Sequence[Said]:
        """See `Downstream`; of an ensemble every member has to answer."""
        if not isinstance(version, EnsembleVersion):
            return await self._downstream(arm, version, raw)
        said = await asyncio.gather(*(self._downstream(*member, raw) for member in version.members))
        return self.blend(version, said)

    def shares(self, version: EnsembleVersion) -> dict[str, float]:
        """The present share of each member, by arm."""
        settings = version.settings
        bundles = [member.bundle for _, member in version.members]
        found = self._errors.weights(bundles, settings.window, settings.min_truths)
        return dict(zip(settings.arms, found.tolist(), strict=True))

    def blend(self, version: EnsembleVersion, said: Sequence[Sequence[Row]]) -> list[Blended]:
        """One row for each instance, of the rows of each member.

        The coverage is the least of theirs, and no more than a name: a blend is narrower than its errors
        only as far as its members agree.
        """
        shares = self.shares(version)
        parts = [stack_rows(self._task, rows) for rows in said]
        blend = self._task.blend(parts, np.array(list(shares.values())))
        rows = self._task.rows(blend, min(rows[0].coverage for rows in said))
        return [
            Blended(row._replace(outlier_score=_farthest(by_member)), _journalled(version, shares, by_member))
            for row, *by_member in zip(rows, *said, strict=True)
        ]


def _farthest(rows: Sequence[Row]) -> float | None:
    """Of what members say: where one of them guesses, so does the blend."""
    return max((row.outlier_score for row in rows if row.outlier_score is not None), default=None)


def _journalled(
    version: EnsembleVersion, shares: dict[str, float], rows: Sequence[Row]
) -> dict[str, dict[str, Any]]:
    return {
        arm: {
            "model_version": member.model_version,
            "bundle": member.bundle,
            "share": shares[arm],
            "prediction": row.prediction,
            "interval": row.region,
            "coverage": row.coverage,
            "level": row.level,
            "outlier_score": row.outlier_score,
        }
        for (arm, member), row in zip(version.members, rows, strict=True)
    }
