"""Champions and baselines on recorded data, without a running system, over the cases that it would see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract
from features.workload import load_workload
from scripts.replay.horizon_errors import Predictions, TimedPrediction
from scripts.replay.recordings import Case, Recording, make_cases
from training.pipeline.evaluation import point_name
from training.runtime.inference import Model

FloatArray = NDArray[np.float64]


def evaluate(contract: Contract, recordings: Sequence[Recording], models: Mapping[str, Model]) -> Predictions:
    """Return predictions of every model and baseline for every case, by recording and name."""
    cases = [case for recording in recordings for case in make_cases(contract, recording)]
    raw = np.array([case.raw for case in cases]).reshape(-1, *contract.raw_shape)
    found: dict[Recording, dict[str, list[TimedPrediction]]] = {recording: {} for recording in recordings}
    for name, model in models.items():
        _add(found, name, cases, model.predict(raw).arrays)
    workload = load_workload(contract)
    for name, values in workload.baselines(workload.features(raw)).items():
        _add(found, name, cases, {point_name(contract.target): np.asarray(values, np.float64)})
    return found


def _add(
    found: Mapping[Recording, dict[str, list[TimedPrediction]]],
    name: str,
    cases: Sequence[Case],
    arrays: Mapping[str, FloatArray],
) -> None:
    for by_name in found.values():
        by_name[name] = []
    for row, case in enumerate(cases):
        one = {key: values[row] for key, values in arrays.items()}
        found[case.recording][name].append(TimedPrediction(case.end_s, one, case.target))
