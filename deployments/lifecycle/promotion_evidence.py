"""Evidence for a promotion: two versions that answered the same requests, on the truths. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from deployments.store.records import ShadowPair
from features.targets import AnyTarget
from training.retraining.gate import EvaluatedModel, Verdict, evaluate_challenger, evaluate_promoted
from training.runtime.promotion_config import InterimLooksConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.row_losses import row_losses, rows_inside
from training.runtime.tasks.base import ArmAnswer, Task, stack_answers

FloatArray = NDArray[np.float64]


class Evidence:
    """An evaluation of the pairs of one workload by its gate.

    Args:
        target: reads truths.
        task: reads answers.
        gate: the section `retraining.gate`.
    """

    def __init__(self, target: AnyTarget, task: Task, gate: GateConfig) -> None:
        self._target = target
        self._task = task
        self._gate = gate

    def evaluate_challenger(self, looks: InterimLooksConfig, pairs: Sequence[ShadowPair]) -> Verdict:
        """Return whether the version in the shadow is better than the one that served.

        Args:
            looks: all of them share the gate's alpha (Bonferroni), so looking again costs no certainty.
            pairs: in the order of time.
        """
        shadow, served, nominal = self._evaluated(pairs)
        return evaluate_challenger(self._gate_config(looks), shadow, served, nominal)

    def evaluate_promoted(self, looks: InterimLooksConfig, pairs: Sequence[ShadowPair]) -> Verdict:
        """Return whether the version that served is not worse than its predecessor in the shadow."""
        shadow, served, nominal = self._evaluated(pairs)
        return evaluate_promoted(self._gate_config(looks), served, shadow, nominal)

    def _gate_config(self, looks: InterimLooksConfig) -> GateConfig:
        most = min(self._gate.min_truths, looks.first_truths)
        return self._gate.model_copy(update={"alpha": self._gate.alpha / looks.looks, "min_truths": most})

    def _evaluated(self, pairs: Sequence[ShadowPair]) -> tuple[EvaluatedModel, EvaluatedModel, float]:
        """Return the shadow, the version that served, and the nominal coverage."""
        read = [(truth, pair) for pair in pairs if (truth := self._truth(pair)) is not None]
        if not read:
            no_rows = np.empty(0)
            nothing = EvaluatedModel(no_rows, no_rows)
            return nothing, nothing, 0.0
        truths = np.stack([truth for truth, _ in read])
        shadow, served = [pair.shadow for _, pair in read], [pair.served for _, pair in read]
        nominal = max(shadow[-1].coverage, served[-1].coverage)
        return self._evaluate(truths, shadow), self._evaluate(truths, served), nominal

    def _truth(self, pair: ShadowPair) -> FloatArray | None:
        """Return the truth; None where nothing of it is known, as of one of another contract."""
        with suppress(KeyError, ValueError, TypeError, IndexError):
            truth = self._target.of_json(pair.truth[self._target.name])
            return None if np.isnan(truth).all() else truth
        return None

    def _evaluate(self, truths: FloatArray, answers: Sequence[ArmAnswer]) -> EvaluatedModel:
        predicted = stack_answers(self._task, answers)
        return EvaluatedModel(
            loss=row_losses(self._target, truths, predicted),
            inside=rows_inside(self._target, truths, predicted),
        )
