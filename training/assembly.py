"""From a trained graph to a bundle: bands from one split, metrics of another, golden rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.workload import anchors_of
from training.bundle import BundleParts, Card, Golden, Reference
from training.dataset import Dataset
from training.evaluation import band_metrics, point_metrics
from training.inference import ArmRuntime, Model, Predicted, Scaled
from training.intervals import IntervalCalibration, calibrate
from training.preparation import Prepared
from training.trials import Best

GOLDEN_ROWS = 24
REFERENCE_ROWS = 1000


@dataclass(frozen=True)
class Origin:
    """What the card says about how a model came to be."""

    family: str
    created_at: datetime
    git_commit: str
    seed: int


def assemble(prepared: Prepared, best: Best, origin: Origin, coverage: float) -> BundleParts:
    """All parts of the bundle of the model `best.onnx`."""
    rng = np.random.default_rng(origin.seed)
    golden_raw = _sample(prepared.splits.test, GOLDEN_ROWS, rng).raw.astype(np.float64)
    reference = _sample(prepared.splits.train, REFERENCE_ROWS, rng)
    card = _card(prepared, best, origin)
    nothing = np.zeros(len(golden_raw))
    parts = BundleParts(
        onnx=best.onnx,
        scaler=prepared.scaler,
        target_scaler=prepared.target_scaler,
        contract=prepared.contract,
        interval=IntervalCalibration(coverage=coverage, knots=(0,), scales=(0,), levels=(0,), scores=(0,)),
        reference=Reference(reference.features, reference.raw.astype(np.float64)),
        golden=Golden(golden_raw, prepared.workload.features(golden_raw), nothing, nothing, nothing),
        card=card,
    )
    parts = replace(parts, interval=_calibrate(prepared, ArmRuntime(parts), coverage))
    parts = replace(parts, card=card.model_copy(update={"metrics": _test_metrics(prepared, parts)}))
    predicted = Model(parts).predict(golden_raw)
    return replace(parts, golden=replace(parts.golden, **_outputs(predicted)))


def baseline_metrics(prepared: Prepared) -> dict[str, dict[str, float]]:
    """`point_metrics` of the workload's and the fitted baselines on the test split, by name."""
    test = prepared.splits.test
    values = {**prepared.workload.baselines(test.features), **prepared.baselines}
    metric = prepared.contract.target.metric
    return {name: point_metrics(test.target, np.asarray(value), metric) for name, value in values.items()}


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


def _calibrate(prepared: Prepared, arm: ArmRuntime, coverage: float) -> IntervalCalibration:
    part, workload = prepared.splits.calibrate, prepared.workload
    scaled = _scaled(prepared, part)
    residual = workload.encode_target(part.target, scaled.anchors) - arm.encoded(scaled)
    variable = workload.interval_scale(scaled.anchors)
    return calibrate(variable, residual, coverage, group=part.group)


def _test_metrics(prepared: Prepared, parts: BundleParts) -> dict[str, float]:
    test = prepared.splits.test
    predicted = ArmRuntime(parts).predict(_scaled(prepared, test))
    metric = prepared.contract.target.metric
    return point_metrics(test.target, predicted.value, metric) | band_metrics(test.target, predicted)


def _scaled(prepared: Prepared, part: Dataset) -> Scaled:
    matrix = prepared.scaler.transform(part.features).astype(np.float32)
    return Scaled(matrix, anchors_of(prepared.workload, part.features))


def _outputs(predicted: Predicted) -> dict[str, NDArray[np.float64]]:
    return {"prediction": predicted.value, "lower": predicted.lower, "upper": predicted.upper}


def _sample(part: Dataset, rows: int, rng: np.random.Generator) -> Dataset:
    """At most `rows` rows, without repeats, in their order."""
    count = min(rows, len(part.target))
    return part.take(np.sort(rng.choice(len(part.target), count, replace=False)))
