"""The models of the benchmark, fitted once with scikit-learn and kept in the form that each contender reads.

`model.joblib` is a scikit-learn pipeline (scaler and model), `mlflow/` the same pipeline as MLflow saves it,
`bundle/` a bundle of raysonde with the same scaler and the same model as ONNX.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler as SklearnScaler

from features.config import load_sections
from features.contract import Contract
from features.scaling import StandardScaler
from scripts.benchmarks.bench import table
from scripts.benchmarks.bench.table import NAMES, instances
from training.config import TrainingConfig
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import write_bundle
from training.search.trials import Best
from training.sources.base import serial_map

SEED = 0
WORKLOAD = "bench"
FOLDER = Path(__file__).parent / "workload"
_REQUEST_ROWS = 64
# what MLflow asks whether to trust, in models that were fitted here
_TRUSTED = ["sklearn.neural_network._stochastic_optimizers.AdamOptimizer", "sklearn.tree._tree.Tree"]

ESTIMATORS: Mapping[str, Callable[[], Any]] = {
    "linear": lambda: Ridge(alpha=1.0),
    "random_forest": lambda: RandomForestRegressor(
        n_estimators=100, min_samples_leaf=5, random_state=SEED, n_jobs=1
    ),
    "mlp": lambda: MLPRegressor(
        hidden_layer_sizes=(64, 64), learning_rate_init=0.005, early_stopping=True, random_state=SEED
    ),
}


class BenchmarkRows(BaseModel):
    """Rows that are sent, (n, 16), and what the scikit-learn pipeline says about them, (n,)."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[tuple[float, ...], ...]
    expected: tuple[float, ...]


def make_models(folder: Path, arms: Sequence[str], show: Callable[[str], None]) -> None:
    """Fit what `folder` lacks; each arm has a folder in it, whole or not at all."""
    missing = [arm for arm in arms if not (folder / arm / "asked.json").is_file()]
    if not missing:
        return
    show("Making the table")
    prepared = _prepared(folder)
    for arm in missing:
        show(f"Fitting {arm}")
        shutil.rmtree(folder / arm, ignore_errors=True)
        _make(prepared, arm, folder / arm)


def revision() -> str:
    """Another one when this file, the table or scikit-learn would make other models."""
    made_by = (Path(__file__), Path(table.__file__), FOLDER / f"{WORKLOAD}.yaml")
    digest = hashlib.sha256(version("scikit-learn").encode())
    for path in made_by:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def load_rows(folder: Path, arm: str) -> BenchmarkRows:
    """Return what the contenders are asked, for an arm that `make_models` made."""
    return BenchmarkRows.model_validate_json((folder / arm / "asked.json").read_text())


def _prepared(folder: Path) -> Prepared:
    sections = load_sections(FOLDER, WORKLOAD)
    contract = Contract.model_validate(sections["contract"])
    config = TrainingConfig.model_validate(sections["training"])
    prepared = prepare(contract, config, folder / "data", SEED, serial_map, no_stages)
    # so that the pipeline of scikit-learn and the bundle hold the very same model
    unscaled = StandardScaler(names=prepared.target_scaler.names, mean=(0.0,), scale=(1.0,), count=1)
    return replace(prepared, target_scaler=unscaled)


def _make(prepared: Prepared, arm: str, folder: Path) -> None:
    # MLflow takes seconds to import
    import mlflow.sklearn

    model = ESTIMATORS[arm]().fit(prepared.train.x, prepared.splits.train.target)
    pipeline = Pipeline([("scaler", _sklearn_scaler(prepared.scaler)), ("model", model)])
    best = Best("fixed", {}, 0.0, _onnx(model))
    origin = Origin(arm, datetime.now(UTC), "unknown", SEED)
    folder.mkdir(parents=True)
    write_bundle(assemble(prepared, best, origin, coverage=0.9), folder / "bundle")
    joblib.dump(pipeline, folder / "model.joblib")
    mlflow.sklearn.save_model(pipeline, folder / "mlflow", pip_requirements=[], skops_trusted_types=_TRUSTED)
    rows = instances(_REQUEST_ROWS, SEED)
    expected: NDArray[np.float64] = pipeline.predict(rows)
    (folder / "asked.json").write_text(json.dumps({"rows": rows.tolist(), "expected": expected.tolist()}))


def _sklearn_scaler(scaler: StandardScaler) -> SklearnScaler:
    """scikit-learn's, with the numbers of ours."""
    same = SklearnScaler()
    same.mean_, same.scale_ = np.array(scaler.mean), np.array(scaler.scale)
    same.var_, same.n_samples_seen_ = same.scale_**2, scaler.count
    same.n_features_in_ = len(NAMES)
    return same


def _onnx(model: Any) -> bytes:
    """Return the graph from `x` (batch, 16) to `y` (batch, 1), as a bundle has it."""
    inputs = [("x", FloatTensorType([None, len(NAMES)]))]
    graph = to_onnx(model, initial_types=inputs, target_opset=18)
    last = graph.graph.output[0].name
    for node in graph.graph.node:
        for position, name in enumerate(node.output):
            if name == last:
                node.output[position] = "y"
    graph.graph.output[0].name = "y"
    return bytes(graph.SerializeToString())
