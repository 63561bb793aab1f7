"""Champions and baselines on recorded data, without a running system, over the windows that it would see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.contract import Contract
from features.windows import windows_of
from features.workload import load_workload
from scripts.marks import TimedPrediction
from scripts.recordings import Recording
from training.inference import Model


def evaluate(
    contract: Contract, recording: Recording, models: Mapping[str, Model]
) -> dict[str, list[TimedPrediction]]:
    """What every model, and then every baseline, says about every window of a recording, by name."""
    windows = windows_of(contract, recording.rows.tolist())
    raw = np.array([window.values for window in windows]).reshape(-1, *contract.raw_shape)
    ends_s = [window.end_s for window in windows]
    said: dict[str, list[TimedPrediction]] = {}
    for name, model in models.items():
        answer = model.predict(raw)
        rows = zip(ends_s, answer.value, answer.lower, answer.upper, strict=True)
        said[name] = [TimedPrediction(end_s, *map(float, values)) for end_s, *values in rows]
    workload = load_workload(contract)
    for name, values in workload.baselines(workload.features(raw)).items():
        said[name] = [TimedPrediction(end_s, float(v)) for end_s, v in zip(ends_s, values, strict=True)]
    return said
