"""A comparison of a new model with the champion of its arm, on truths that neither has learnt from."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.retraining.gate import EvaluatedModel, Verdict, evaluate_challenger, unopposed
from training.runtime.bundle import Bundle, BundleParts
from training.runtime.inference import Model
from training.runtime.retraining_config import GateConfig
from training.runtime.row_losses import row_losses, rows_inside
from training.runtime.tasks.base import Predicted

FloatArray = NDArray[np.float64]

_TIMED_ROWS = 200
_WARM_ROWS = 10


def compare(
    config: GateConfig,
    held_out: Dataset,
    challenger: BundleParts,
    champion: Bundle | None,
    clock: Callable[[], float] = time.perf_counter,
) -> Verdict:
    """Return the verdict of the gate on `challenger`.

    Args:
        config: of the gate.
        held_out: pairs in the order of time.
        challenger: the new model.
        champion: of the arm, if there is one.
        clock: monotonic seconds.

    Raises:
        BundleError: the champion cannot be run by this code.
    """
    raw = held_out.raw.astype(np.float64)
    models = [Model(parts) for parts in (challenger, champion) if parts is not None]
    predictions = [model.predict(raw) for model in models]
    latencies = _latencies(models, raw, clock)
    new, *old = (_evaluated(held_out, challenger, *pair) for pair in zip(predictions, latencies, strict=True))
    nominal = models[0].arm.coverage
    return evaluate_challenger(config, new, old[0], nominal) if old else unopposed(config, new, nominal)


def _evaluated(
    held_out: Dataset, parts: BundleParts, predicted: Predicted, latency_s: FloatArray
) -> EvaluatedModel:
    target = parts.contract.target
    return EvaluatedModel(
        loss=row_losses(target, held_out.target, predicted),
        inside=rows_inside(target, held_out.target, predicted),
        latency_s=latency_s,
    )


def _latencies(models: list[Model], raw: FloatArray, clock: Callable[[], float]) -> list[FloatArray]:
    """Return the seconds that single rows take, of all models in turns: a busy moment meets them all."""
    taken_s = np.empty((len(models), _TIMED_ROWS))
    for number in range(-_WARM_ROWS, _TIMED_ROWS):
        at = number % len(raw)
        for which, model in enumerate(models):
            began_s = clock()
            model.predict(raw[at : at + 1])
            if number >= 0:
                taken_s[which, number] = clock() - began_s
    return list(taken_s)
