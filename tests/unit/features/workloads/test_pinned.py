"""Features, baselines and transforms give the numbers that they gave when bundles were trained on them.

A bundle that is out there was trained on these numbers. Who changes one on purpose writes them anew, and
trains anew: `python -m tests.unit.features.workloads.test_pinned`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.config import load_contract
from features.contract import Contract
from features.windows import cut_window
from features.workload import Transform, Workload, anchors_of
from features.workloads import apogee, calories, reentry, trajectory, weather
from training.runtime.settings import REPOSITORY

FloatArray = NDArray[np.float64]

PINNED = Path(__file__).with_name("pinned.json")
MODULES = {
    "apogee": apogee,
    "calories": calories,
    "reentry": reentry,
    "trajectory": trajectory,
    "weather": weather,
}
# how the values of a window are bent, so that it climbs, falls, turns and stands still
BENDS = (1.0, 0.5, -0.7, 0.0)


def raw_of(contract: Contract) -> FloatArray:
    """The example of the contract, and what is bent from it."""
    assert contract.example is not None
    if contract.window is None:
        row = [number(spec.categories, contract.example[spec.name]) for spec in contract.fields]
        return np.array([row, np.array(row) * 1.1])
    samples = np.array(
        [[one.get(spec.name, np.nan) for spec in contract.fields] for one in contract.example["samples"]],
        dtype=np.float64,
    )
    windows = []
    for bend in BENDS:
        bent = samples.copy()
        bent[:, 1:] = samples[-1, 1:] + bend * (samples[:, 1:] - samples[-1, 1:])
        windows.append(cut_window(contract, bent).values)
    return np.stack(windows)


def number(categories: tuple[str, ...] | None, value: Any) -> float:
    return float(categories.index(value)) if categories else float(value)


def numbers_of(name: str) -> dict[str, Any]:
    contract = load_contract(REPOSITORY / "configs" / "workloads", name)
    workload: Workload = MODULES[name].WORKLOAD
    features = workload.features(raw_of(contract))
    baselines, anchors = workload.baselines(features), anchors_of(workload, features)
    found = {"features": features, **baselines}
    if isinstance(workload, Transform):
        predicted = next(iter(baselines.values()))
        truth = predicted + 0.01 * np.arange(1, 1 + predicted.size).reshape(predicted.shape)
        encoded = workload.encode_target(truth, anchors)
        found |= {"encoded": encoded, "decoded": workload.decode_target(encoded + 0.01, anchors)}
        found["interval_scale"] = workload.interval_scale(anchors)
    return {key: np.asarray(value).tolist() for key, value in found.items()}


@pytest.mark.parametrize("name", MODULES)
def test_the_numbers_are_those_that_bundles_were_trained_on(name: str) -> None:
    pinned, found = json.loads(PINNED.read_text())[name], numbers_of(name)
    assert found.keys() == pinned.keys()
    for key, expected in pinned.items():
        np.testing.assert_allclose(found[key], expected, rtol=1e-7, atol=1e-9, err_msg=key)


if __name__ == "__main__":
    rounded = json.loads(
        json.dumps({name: numbers_of(name) for name in MODULES}),
        parse_float=lambda text: float(f"{float(text):.10g}"),
    )
    workloads = [
        f'"{name}": {{\n'
        + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in found.items())
        + "\n}"
        for name, found in rounded.items()
    ]
    PINNED.write_text("{\n" + ",\n".join(workloads) + "\n}\n")
