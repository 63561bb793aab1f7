"""What a promotion is decided by: two versions that answered the same requests, and the truths. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from deployments.store.records import ShadowPair
from features.targets import AnyTarget
from training.retraining.gate import EvaluatedModel, Verdict, evaluate_promoted, judge
from training.runtime.promotion_config import LooksConfig
from training.runtime.retraining_config import GateConfig
from training.runtime.row_losses import row_losses, rows_inside
from training.runtime.tasks.base import ArmAnswer, Task, stack_answers

FloatArray = NDArray[np.float64]


class Evidence:
    """Reads pairs of one workload.

    Args:
        target: reads truths.
        task: reads answers.
        gate: what is asked of a challenger.
    """

    def __init__(self, target: AnyTarget, task: Task, gate: GateConfig) -> None:
        self._target = target
        self._task = task
        self._gate = gate

    def of_challenger(self, looks: LooksConfig, pairs: Sequence[ShadowPair]) -> Verdict:
        """Whether the version in the shadow is better than the one that served.

        Args:
            looks: all of them share the gate's alpha (Bonferroni), so looking again costs no certainty.
            pairs: in the order of time.
        """
        shadow, served, nominal = self._judged(pairs)
        return judge(self._gate_of(looks), shadow, served, nominal)

    def of_promoted(self, looks: LooksConfig, pairs: Sequence[ShadowPair]) -> Verdict:
        """Whether the version that served is not worse than its predecessor, which was in the shadow."""
        shadow, served, nominal = self._judged(pairs)
        return evaluate_promoted(self._gate_of(looks), served, shadow, nominal)

    def _gate_of(self, looks: LooksConfig) -> GateConfig:
        most = min(self._gate.min_truths, looks.first_truths)
        return self._gate.model_copy(update={"alpha": self._gate.alpha / looks.looks, "min_truths": most})

    def _judged(self, pairs: Sequence[ShadowPair]) -> tuple[EvaluatedModel, EvaluatedModel, float]:
        """Of the shadow, of what served, and the nominal coverage."""
        read = [(truth, pair) for pair in pairs if (truth := self._truth(pair)) is not None]
        if not read:
            nothing = EvaluatedModel(np.empty(0), np.empty(0))
            return nothing, nothing, 0.0
        truths = np.stack([truth for truth, _ in read])
        shadow, served = [pair.shadow for _, pair in read], [pair.served for _, pair in read]
        nominal = max(shadow[-1].coverage, served[-1].coverage)
        return self._of(truths, shadow), self._of(truths, served), nominal

    def _truth(self, pair: ShadowPair) -> FloatArray | None:
        """None where nothing of it is known; a journal may hold truths of another contract."""
        with suppress(KeyError, ValueError, TypeError, IndexError):
            truth = self._target.of_json(pair.truth[self._target.name])
            return None if np.isnan(truth).all() else truth
        return None

    def _of(self, truths: FloatArray, said: Sequence[ArmAnswer]) -> EvaluatedModel:
        predicted = stack_answers(self._task, said)
        return EvaluatedModel(
            loss=row_losses(self._target, truths, predicted),
            inside=rows_inside(self._target, truths, predicted),
        )
