"""Boosted regression trees on binned columns (scikit-learn), exported tree by tree.

skl2onnx knows no histogram trees, so that the graph is written here: one `TreeEnsembleRegressor` node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingRegressor

from training.families.base import expect_numbers
from training.fitting.data import Params, Report, Split
from training.fitting.flat import flat, with_input_shape
from training.fitting.losses import split_loss

# Structured arrays of scikit-learn, a row a node: feature_idx, num_threshold, left, right, is_leaf, value.
Nodes = NDArray[np.void]

_TREE_DOMAIN = "ai.onnx.ml"
_TREES_PER_REPORT = 50


class GradientBoostingFamily:
    """`training.families.base.Family`; one report every 50 trees."""

    name = "gradient_boosting"
    iterative = True

    def search_space(self, trial: Any) -> None:
        """Size of a tree, how much each counts, and what holds it back."""
        trial.suggest_categorical("trees", [400])
        trial.suggest_float("learning_rate", 0.04, 0.15, log=True)
        trial.suggest_int("max_leaf_nodes", 12, 48, log=True)
        trial.suggest_int("min_samples_leaf", 8, 60, log=True)
        trial.suggest_float("l2", 0.1, 10.0, log=True)
        trial.suggest_float("max_features", 0.4, 1.0)

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedBoosting:
        """Least squares; the trees are grown a few at a time, and those of the best report are kept.

        Rows whose target is not known are left out.

        Raises:
            ValueError: the target is not one number.
        """
        expect_numbers(self.name, train, most=1)
        train = train.known()
        boosting = HistGradientBoostingRegressor(
            learning_rate=float(params["learning_rate"]),
            max_leaf_nodes=int(params["max_leaf_nodes"]),
            min_samples_leaf=int(params["min_samples_leaf"]),
            l2_regularization=float(params["l2"]),
            max_features=float(params["max_features"]),
            early_stopping=False,
            warm_start=True,
            random_state=seed,
        )
        x, total = flat(train.x), int(params["trees"])
        best_loss, best_trees = np.inf, 0
        for step, trees in enumerate(range(_TREES_PER_REPORT, total + 1, _TREES_PER_REPORT), start=1):
            boosting.set_params(max_iter=trees)
            boosting.fit(x, train.y[:, 0], sample_weight=train.weight)
            loss = split_loss(boosting.predict(flat(valid.x))[:, None], valid)
            report(step, loss)
            if loss < best_loss:
                best_loss, best_trees = loss, trees
        return FittedBoosting(boosting, best_trees, train.x.shape[1:])


class FittedBoosting:
    """The first `trees` trees of a fitted ensemble."""

    def __init__(
        self, boosting: HistGradientBoostingRegressor, trees: int, input_shape: tuple[int, ...]
    ) -> None:
        # scikit-learn has no public way to forget trees or to look at them
        del boosting._predictors[trees:]
        self._boosting = boosting
        self._input_shape = input_shape

    @property
    def trees(self) -> list[Nodes]:
        """The nodes of each tree."""
        return [stage[0].nodes for stage in self._boosting._predictors]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, [steps,] features) -> (n, 1)."""
        return np.asarray(self._boosting.predict(flat(x)), dtype=np.float32)[:, None]

    def to_onnx(self) -> bytes:
        """Return the graph; see `training.families.base.Fitted`."""
        node = helper.make_node(
            "TreeEnsembleRegressor",
            ["x"],
            ["y"],
            domain=_TREE_DOMAIN,
            n_targets=1,
            base_values=[float(self._boosting._baseline_prediction[0, 0])],
            **_attributes(self.trees),
        )
        width = math.prod(self._input_shape)
        graph = helper.make_graph(
            [node],
            "gradient_boosting",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(_TREE_DOMAIN, 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        onnx.checker.check_model(model)
        return bytes(with_input_shape(model, self._input_shape).SerializeToString())


def _attributes(trees: Sequence[Nodes]) -> dict[str, list[Any]]:
    """Return the trees as the lists that the ONNX operator wants: all nodes, then all leaves."""
    nodes = np.concatenate(trees)
    tree = np.repeat(np.arange(len(trees)), [len(one) for one in trees])
    node = np.concatenate([np.arange(len(one)) for one in trees])
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": node.tolist(),
        "nodes_featureids": np.where(leaf, 0, nodes["feature_idx"]).tolist(),
        "nodes_values": np.where(leaf, 0, _float32_at_or_below(nodes["num_threshold"])).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_truenodeids": np.where(leaf, 0, nodes["left"]).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, nodes["right"]).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": node[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": nodes["value"][leaf].tolist(),
    }


def _float32_at_or_below(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round a threshold down, so that a float32 takes the same branch as it does against the float64."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


FAMILY = GradientBoostingFamily()
