"""Assembly of a bundle from a trained graph: bands of one split, metrics of another, golden rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from features.workload import anchors_of
from training.data.dataset import Dataset
from training.pipeline.evaluation import compute_metrics, point_metrics
from training.pipeline.preparation import Prepared
from training.runtime.bundle import BundleParts, Card, Golden, Reference
from training.runtime.inference import ArmRuntime, Model, Scaled
from training.runtime.tasks.base import Calibration, Predicted
from training.search.trials import Best

GOLDEN_ROWS = 24
REFERENCE_ROWS = 1000


@dataclass(frozen=True)
class Origin:
    """The origin of a model, as the card records it."""

    family: str
    created_at: datetime
    git_commit: str
    seed: int


def assemble(prepared: Prepared, best: Best, origin: Origin, coverage: float) -> BundleParts:
    """Assemble all parts of the bundle of the model `best.onnx`."""
    rng = np.random.default_rng(origin.seed)
    golden_raw = _sample(prepared.splits.test, GOLDEN_ROWS, rng).raw.astype(np.float64)
    reference = _sample(prepared.splits.train, REFERENCE_ROWS, rng)
    card = _card(prepared, best, origin)
    parts = BundleParts(
        onnx=best.onnx,
        scaler=prepared.scaler,
        target_scaler=prepared.target_scaler,
        contract=prepared.contract,
        calibration=prepared.task.uncalibrated(coverage),
        reference=Reference(reference.features, reference.raw.astype(np.float64)),
        golden=Golden(golden_raw, prepared.workload.features(golden_raw), Predicted({})),
        card=card,
    )
    parts = replace(parts, calibration=_calibrate(prepared, ArmRuntime(parts), coverage))
    parts = replace(parts, card=card.model_copy(update={"metrics": _test_metrics(prepared, parts)}))
    predicted = Model(parts).predict(golden_raw)
    return replace(parts, golden=replace(parts.golden, outputs=predicted))


def baseline_metrics(prepared: Prepared) -> dict[str, dict[str, float]]:
    """`point_metrics` of the workload's and the fitted baselines on the test split, by name."""
    test = prepared.splits.test
    values = {**prepared.workload.baselines(test.features), **prepared.baselines}
    target = prepared.contract.target
    return {name: point_metrics(target, test.target, np.asarray(value)) for name, value in values.items()}


def _card(prepared: Prepared, best: Best, origin: Origin) -> Card:
    return Card(
        workload=prepared.contract.workload,
        family=origin.family,
        created_at=origin.created_at,
        git_commit=origin.git_commit,
        data_hash=prepared.data_hash,
        seed=origin.seed,
        trial=best.trial_id,
        params=dict(best.params),
        metrics={},
        baselines=baseline_metrics(prepared),
        feature_names=tuple(prepared.workload.feature_names),
    )


def _calibrate(prepared: Prepared, arm: ArmRuntime, coverage: float) -> Calibration:
    part = prepared.splits.calibrate
    scaled = _scaled(prepared, part)
    return prepared.task.calibrate(arm.encoded(scaled), part.target, scaled.anchors, coverage, part.group)


def _test_metrics(prepared: Prepared, parts: BundleParts) -> dict[str, float]:
    test = prepared.splits.test
    return compute_metrics(
        prepared.contract.target, test.target, ArmRuntime(parts).predict(_scaled(prepared, test))
    )


def _scaled(prepared: Prepared, part: Dataset) -> Scaled:
    matrix = prepared.scaler.transform(part.features).astype(np.float32)
    return Scaled(matrix, anchors_of(prepared.workload, part.features))


def _sample(part: Dataset, rows: int, rng: np.random.Generator) -> Dataset:
    """Draw at most `rows` rows, without repeats, in their order."""
    count = min(rows, len(part.target))
    return part.take(np.sort(rng.choice(len(part.target), count, replace=False)))
