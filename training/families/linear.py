"""Ridge regression (scikit-learn) on the inputs and their products, robust to outliers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import Ridge

from training.families.base import Params, Report, Split
from training.flat import flat, with_input_shape

# Products of inputs beyond this many standard deviations would run away.
_CLIP = 3.0
_ROUNDS = 8


class LinearFamily:
    """`training.families.base.Family`; one report at the end."""

    name = "linear"
    iterative = False

    def search_space(self, trial: Any) -> None:
        """Strength of the ridge, products or not, and where the loss turns from square to absolute."""
        trial.suggest_float("alpha", 1e-2, 1e3, log=True)
        trial.suggest_categorical("products", [True, False])
        trial.suggest_float("huber_delta", 0.02, 0.5, log=True)

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedLinear:
        """Huber regression by reweighted least squares (Huber and Ronchetti 2009, section 7.8).

        There is nothing random in it: `seed` changes nothing.
        """
        pairs, columns = expand(train.x, bool(params["products"]))
        delta = float(params["huber_delta"])
        weight = train.weight.astype(np.float64)
        ridge = Ridge(alpha=float(params["alpha"]))
        for _ in range(_ROUNDS):
            ridge.fit(columns, train.y, sample_weight=weight)
            miss = np.abs(train.y - ridge.predict(columns))
            weight = train.weight * np.minimum(1.0, delta / np.maximum(miss, 1e-9))
        fitted = FittedLinear(ridge.coef_, float(ridge.intercept_), pairs, train.x.shape[1:])
        report(1, float(np.average(np.abs(fitted.predict(valid.x) - valid.y), weights=valid.weight)))
        return fitted


class FittedLinear:
    """Coefficients of the clipped inputs, then of the products of `pairs` of them."""

    def __init__(
        self,
        coefficients: NDArray[np.float64],
        intercept: float,
        pairs: NDArray[np.int64],
        input_shape: tuple[int, ...],
    ) -> None:
        self._coefficients = coefficients.astype(np.float32)
        self._intercept = np.float32(intercept)
        self._pairs = pairs
        self._input_shape = input_shape

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, *input_shape) -> (n,)."""
        expanded = _with_products(flat(np.asarray(x, np.float32)), self._pairs)
        return np.asarray(expanded @ self._coefficients + self._intercept, dtype=np.float32)

    def to_onnx(self) -> bytes:
        """See `training.families.base.Fitted`."""
        constants = {
            "low": np.float32(-_CLIP),
            "high": np.float32(_CLIP),
            "left": self._pairs[0],
            "right": self._pairs[1],
            "coefficients": self._coefficients[:, None],
            "intercept": np.array([self._intercept], np.float32),
        }
        nodes = [
            helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
            helper.make_node("Gather", ["clipped", "left"], ["first"], axis=1),
            helper.make_node("Gather", ["clipped", "right"], ["second"], axis=1),
            helper.make_node("Mul", ["first", "second"], ["products"]),
            helper.make_node("Concat", ["clipped", "products"], ["expanded"], axis=1),
            helper.make_node("Gemm", ["expanded", "coefficients", "intercept"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", math.prod(self._input_shape)])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        return bytes(with_input_shape(model, self._input_shape).SerializeToString())


def expand(x: NDArray[np.float32], products: bool) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (2, k) of flat inputs, none without `products`; the clipped inputs with their products."""
    inputs = flat(x)
    pairs = np.array(np.triu_indices(inputs.shape[1] if products else 0), dtype=np.int64)
    return pairs, _with_products(inputs, pairs)


def _with_products(x: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    clipped = np.clip(x, -_CLIP, _CLIP)
    return np.hstack([clipped, clipped[:, pairs[0]] * clipped[:, pairs[1]]])


FAMILY = LinearFamily()
