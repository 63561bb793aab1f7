"""A mean that is approached step by step, so that a search over it is iterative and as slow as a test wants.

In the folder TOY_FAMILY_GATE each trial leaves a file, and all but the first wait while there is one
named `closed`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.families.base import expect_numbers
from training.fitting.data import Params, Report, Split
from training.fitting.losses import split_loss


class ToyFamily:
    name = "toy"
    iterative = True

    def search_space(self, trial: Any) -> None:
        trial.suggest_float("rate", 0.1, 0.9)

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedMean:
        expect_numbers(self.name, train, most=1)
        _pass_gate()
        mean, goal = 0.0, float(np.average(train.y[:, 0], weights=train.weight))
        for step in range(1, 9):
            mean += params["rate"] * (goal + 1 - mean)
            report(step, split_loss(np.full_like(valid.y, mean), valid))
        return FittedMean(mean, train.x.shape[1])


class FittedMean:
    def __init__(self, mean: float, inputs: int) -> None:
        self._mean = mean
        self._inputs = inputs

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((len(x), 1), self._mean, np.float32)

    def to_onnx(self) -> bytes:
        weights = np.zeros((self._inputs, 1), np.float32)
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
            "mean",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", self._inputs])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
            [
                numpy_helper.from_array(weights, "w"),
                numpy_helper.from_array(np.array([self._mean], np.float32), "b"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return bytes(model.SerializeToString())


def _pass_gate() -> None:
    gate = Path(os.environ.get("TOY_FAMILY_GATE", os.devnull))
    if not gate.is_dir():
        return
    number = len(list(gate.glob("trial-*")))
    (gate / f"trial-{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
    while number > 0 and (gate / "closed").exists():
        time.sleep(0.05)


FAMILY = ToyFamily()
