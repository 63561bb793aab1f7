"""A random forest (scikit-learn), kept small enough to be served from memory in several versions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor

from training.fitting.data import Params, Report, Split
from training.fitting.flat import flat, with_input_shape
from training.fitting.losses import split_loss


class RandomForestFamily:
    """`training.families.base.Family`; one report at the end."""

    name = "random_forest"
    iterative = False

    def search_space(self, trial: Any) -> None:
        """Suggest a third to two thirds of the columns at a split, and leaves of a dozen rows or more."""
        trial.suggest_categorical("trees", [60])
        trial.suggest_int("min_samples_leaf", 8, 40, log=True)
        trial.suggest_float("max_features", 0.3, 0.7)
        trial.suggest_float("max_samples", 0.2, 0.5)

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedForest:
        """Grow the trees on one core; trials run beside each other instead.

        A tree holds all outputs. Classes are learnt as numbers 0 and 1: their variance in a node is half its
        Gini impurity, and their mean in a leaf is the probability. Rows with an unknown output are left out.
        """
        train = train.known()
        forest = RandomForestRegressor(
            n_estimators=int(params["trees"]),
            min_samples_leaf=int(params["min_samples_leaf"]),
            max_features=float(params["max_features"]),
            max_samples=float(params["max_samples"]),
            random_state=seed,
            n_jobs=1,
        )
        y = train.y[:, 0] if train.y.shape[1] == 1 else train.y
        forest.fit(flat(train.x), y, sample_weight=train.weight)
        fitted = FittedForest(forest, train.x.shape[1:])
        report(1, split_loss(fitted.predict(valid.x), valid))
        return fitted


class FittedForest:
    """A grown forest."""

    def __init__(self, forest: RandomForestRegressor, input_shape: tuple[int, ...]) -> None:
        self._forest = forest
        self._input_shape = input_shape

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, *input_shape) -> (n, outputs)."""
        return np.asarray(self._forest.predict(flat(x)), dtype=np.float32).reshape(len(x), -1)

    def to_onnx(self) -> bytes:
        """Return the graph; see `training.families.base.Fitted`."""
        inputs = [("x", FloatTensorType([None, self._forest.n_features_in_]))]
        model = to_onnx(self._forest, initial_types=inputs, target_opset=18)
        graph = model.graph
        last = graph.output[0].name
        for node in graph.node:
            for position, name in enumerate(node.output):
                if name == last:
                    node.output[position] = "y"
        graph.output[0].name = "y"
        return bytes(with_input_shape(model, self._input_shape).SerializeToString())


FAMILY = RandomForestFamily()
