"""A sound bundle of the toy workload, made without training."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from toy.workload import WORKLOAD

from features.config import load_contract
from features.contract import Contract
from features.scaling import Moments, StandardScaler
from features.workload import FloatArray, anchors_of
from training.runtime.bundle import BundleParts, Card, Golden, Reference
from training.runtime.inference import Model
from training.runtime.tasks.base import Predicted
from training.runtime.tasks.intervals import IntervalCalibration

WORKLOADS = Path(__file__).parent / "workloads"


@lru_cache
def toy_contract() -> Contract:
    return load_contract(WORKLOADS, "toy")


def toy_raw(rows: int = 64, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).uniform(1, 9, (rows, 3))


def linear_graph(weights: np.ndarray, output: str = "y") -> bytes:
    """A graph x @ weights."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], [output])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", len(weights)])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(weights.astype(np.float32)[:, None], "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def toy_parts(seed: int = 0) -> BundleParts:
    raw = toy_raw(seed=seed)
    features = WORKLOAD.features(raw)
    encoded = WORKLOAD.encode_target(raw[:, 0] * raw[:, 1], anchors_of(WORKLOAD, features))
    parts = BundleParts(
        onnx=linear_graph(np.array([0.3, 0.2, -0.1, 0.05])),
        scaler=StandardScaler.fit(WORKLOAD.feature_names, [Moments.of(features)]),
        target_scaler=StandardScaler.fit(["area_m2"], [Moments.of(encoded[:, None])]),
        contract=toy_contract(),
        calibration=IntervalCalibration(
            coverage=0.8, knots=(0, 40), scales=(0.01, 0.03), levels=(0.5, 0.9), scores=(1, 3)
        ),
        reference=Reference(features, raw),
        golden=Golden(raw[:8], features[:8], Predicted({})),
        card=Card(
            workload="toy",
            family="linear",
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
            git_commit="unknown",
            data_hash="0" * 64,
            seed=seed,
            trial="t1",
            params={"alpha": 0.5},
            metrics={"mae": 1.25},
            feature_names=WORKLOAD.feature_names,
        ),
    )
    return replace(parts, golden=replace(parts.golden, outputs=Model(parts).predict(raw[:8])))
