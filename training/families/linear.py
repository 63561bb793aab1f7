"""Ridge regression (scikit-learn) on the inputs and their products, robust to outliers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import Ridge

from training.families.base import expect_numbers
from training.fitting.data import Params, Report, Split
from training.fitting.flat import flat, with_input_shape
from training.fitting.losses import split_loss

# Products of inputs beyond this many standard deviations would run away.
_CLIP = 3.0
_ROUNDS = 8
_MOST_PRODUCTS = 4000

Rows = slice | NDArray[np.bool_]


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

        Each output is fitted alone, to the rows in which it is known. There is nothing random in it: `seed`
        changes nothing.

        Raises:
            ValueError: the target is not numbers, or an output is known in no row.
        """
        expect_numbers(self.name, train)
        pairs, columns = expand(train.x, bool(params["products"]))
        delta = float(params["huber_delta"])
        ridge = Ridge(alpha=float(params["alpha"]))
        coefficients = np.empty((train.y.shape[1], columns.shape[1]))
        intercepts = np.empty(train.y.shape[1])
        for rows, outputs in outputs_by_rows(train.y):
            known, weight = columns[rows], train.weight[rows]
            for output in outputs:
                _fit_robustly(ridge, known, train.y[rows, output], weight, delta)
                coefficients[output], intercepts[output] = ridge.coef_, ridge.intercept_
        fitted = FittedLinear(coefficients, intercepts, pairs, train.x.shape[1:])
        report(1, split_loss(fitted.predict(valid.x), valid))
        return fitted


class FittedLinear:
    """Coefficients (outputs, columns) of the clipped inputs, then of the products of `pairs` of them."""

    def __init__(
        self,
        coefficients: NDArray[np.float64],
        intercepts: NDArray[np.float64],
        pairs: NDArray[np.int64],
        input_shape: tuple[int, ...],
    ) -> None:
        self._coefficients = coefficients.astype(np.float32)
        self._intercepts = intercepts.astype(np.float32)
        self._pairs = pairs
        self._input_shape = input_shape

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, *input_shape) -> (n, outputs)."""
        expanded = _with_products(flat(np.asarray(x, np.float32)), self._pairs)
        return np.asarray(expanded @ self._coefficients.T + self._intercepts, dtype=np.float32)

    def to_onnx(self) -> bytes:
        """Return the graph; see `training.families.base.Fitted`."""
        constants = {
            "low": np.float32(-_CLIP),
            "high": np.float32(_CLIP),
            "left": self._pairs[0],
            "right": self._pairs[1],
            "coefficients": np.ascontiguousarray(self._coefficients.T),
            "intercepts": self._intercepts,
        }
        nodes = [
            helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
            helper.make_node("Gather", ["clipped", "left"], ["first"], axis=1),
            helper.make_node("Gather", ["clipped", "right"], ["second"], axis=1),
            helper.make_node("Mul", ["first", "second"], ["products"]),
            helper.make_node("Concat", ["clipped", "products"], ["expanded"], axis=1),
            helper.make_node("Gemm", ["expanded", "coefficients", "intercepts"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", math.prod(self._input_shape)])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", len(self._intercepts)])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        return bytes(with_input_shape(model, self._input_shape).SerializeToString())


def outputs_by_rows(y: NDArray[np.float32]) -> list[tuple[Rows, list[int]]]:
    """Group the outputs that are known in the same rows, together with these rows.

    Raises:
        ValueError: an output is known in no row.
    """
    groups: dict[bytes, tuple[Rows, list[int]]] = {}
    for output, missing in enumerate(np.isnan(y).T):
        if missing.all():
            raise ValueError(f"y[:, {output}]: got no row in which it is known, expected at least one")
        # a slice, so that nothing is copied where nothing is missing
        rows = ~missing if missing.any() else slice(None)
        groups.setdefault(missing.tobytes(), (rows, []))[1].append(output)
    return list(groups.values())


def _fit_robustly(
    ridge: Ridge,
    columns: NDArray[np.float32],
    y: NDArray[np.float32],
    weight: NDArray[np.float32],
    delta: float,
) -> None:
    now = weight.astype(np.float64)
    for _ in range(_ROUNDS):
        ridge.fit(columns, y, sample_weight=now)
        miss = np.abs(y - ridge.predict(columns))
        now = weight * np.minimum(1.0, delta / np.maximum(miss, 1e-9))


def expand(x: NDArray[np.float32], products: bool) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (2, k) of flat inputs, none without `products`; the clipped inputs with their products.

    Of a long sequence only the inputs of the last step are paired: the columns would fill the memory.
    """
    inputs = flat(x)
    width = inputs.shape[1]
    first = width - x.shape[-1] if width * (width + 1) // 2 > _MOST_PRODUCTS else 0
    pairs = np.array(np.triu_indices(width - first if products else 0), dtype=np.int64) + first
    return pairs, _with_products(inputs, pairs)


def _with_products(x: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    clipped = np.clip(x, -_CLIP, _CLIP)
    return np.hstack([clipped, clipped[:, pairs[0]] * clipped[:, pairs[1]]])


FAMILY = LinearFamily()
