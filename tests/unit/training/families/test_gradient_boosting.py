"""The exported trees go the way that the fitted ones go, split by split."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from training.families.base import load_family
from training.families.gradient_boosting import _float32_at_or_below
from training.fitting.data import Split

FAMILY = load_family("gradient_boosting")
PARAMS: dict[str, Any] = {
    "trees": 100,
    "learning_rate": 0.1,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 10,
    "l2": 1.0,
    "max_features": 1.0,
}


def split(rows: int, seed: int, noise: float = 0.0) -> Split:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, 3)), 1).astype(np.float32)
    y = (x[:, 0] > 0.3) * x[:, 1] + rng.normal(0, noise, rows)
    return Split(x, y.astype(np.float32)[:, None], np.ones(rows, np.float32))


def fit(params: dict[str, Any], noise: float = 0.0) -> tuple[Any, list[tuple[int, float]]]:
    reports: list[tuple[int, float]] = []
    train, valid = split(2000, 0, noise), split(400, 1, noise)
    return FAMILY.fit(params, train, valid, 0, lambda *report: reports.append(report)), reports


def run(graph: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_values_at_a_threshold_and_beside_it_go_the_same_way() -> None:
    fitted, _ = fit(PARAMS)
    nodes = np.concatenate(fitted.trees)
    thresholds = np.unique(nodes["num_threshold"][nodes["is_leaf"] == 0]).astype(np.float32)
    near = [np.nextafter(thresholds, np.float32(d)) for d in (-np.inf, np.inf)]
    values = np.concatenate([thresholds, *near])
    assert len(thresholds) > 20
    x = np.random.default_rng(2).choice(values, (5000, 3))
    np.testing.assert_allclose(run(fitted.to_onnx(), x), fitted.predict(x), rtol=0, atol=2e-6)


def test_thresholds_are_rounded_down() -> None:
    thresholds = np.array([0.1, 0.3, 1.0, -0.1, 1e-300])
    rounded = _float32_at_or_below(thresholds)
    assert rounded.dtype == np.float32
    assert (rounded <= thresholds).all()
    assert (np.nextafter(rounded, np.float32(np.inf)) > thresholds).all()


def test_the_trees_of_the_best_report_are_kept() -> None:
    fitted, reports = fit(PARAMS | {"trees": 400, "learning_rate": 0.5, "l2": 0.0}, noise=1.0)
    assert [step for step, _ in reports] == list(range(1, 9))
    best = min(reports, key=lambda report: report[1])[0]
    assert best < 8
    assert len(fitted.trees) == 50 * best
    valid = split(400, 1, 1.0)
    assert np.abs(fitted.predict(valid.x) - valid.y).mean() == pytest.approx(
        min(reports, key=lambda r: r[1])[1]
    )


def test_the_graph_is_one_tree_ensemble() -> None:
    fitted, _ = fit(PARAMS)
    model = onnx.load_from_string(fitted.to_onnx())
    assert [node.op_type for node in model.graph.node] == ["TreeEnsembleRegressor"]
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18, "ai.onnx.ml": 3}


def test_sequences_are_laid_side_by_side() -> None:
    flat, _ = fit(PARAMS)
    train, valid = (
        Split(part.x.reshape(-1, 3, 1), part.y, part.weight) for part in (split(2000, 0), split(400, 1))
    )
    fitted = FAMILY.fit(PARAMS, train, valid, 0, lambda *_: None)
    x = split(300, 3).x
    np.testing.assert_array_equal(fitted.predict(x.reshape(-1, 3, 1)), flat.predict(x))
    np.testing.assert_allclose(
        run(fitted.to_onnx(), x.reshape(-1, 3, 1)), run(flat.to_onnx(), x), rtol=0, atol=1e-7
    )
