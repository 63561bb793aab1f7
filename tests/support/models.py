"""Real bundles for tests, made in a second: ridge regression on small flights, in three colours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.config import load_contract
from features.contract import Contract
from features.scaling import Moments, StandardScaler
from features.windows import cut_windows
from features.workload import anchors_of, load_workload, transform_of
from tests.support.flights import fly, rows_of
from training.families.base import load_family
from training.fitting.data import Split
from training.registry.models import ModelVersion, Registry
from training.runtime.bundle import BundleParts, Card, Golden, Reference, write_bundle
from training.runtime.inference import Model
from training.runtime.settings import REPOSITORY
from training.runtime.tasks.base import Predicted
from training.runtime.tasks.intervals import calibrate

FLIGHTS = 30


@lru_cache
def apogee_contract() -> Contract:
    return load_contract(REPOSITORY / "configs" / "workloads", "apogee")


@lru_cache
def windows() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raw windows (n, steps, channels) of the small flights, and the apogee of each."""
    contract = apogee_contract()
    raw, target = [], []
    for seed in range(FLIGHTS):
        samples, apogee_m = fly(seed)
        found = cut_windows(contract, rows_of(contract, samples))
        raw += [window.values for window in found]
        target += [apogee_m] * len(found)
    return np.stack(raw), np.array(target)


@lru_cache
def make_parts(family: str, variant: int = 0) -> BundleParts:
    """A bundle of the apogee workload; another `variant` is another model of the same family."""
    contract = apogee_contract()
    workload = load_workload(contract)
    raw, target = windows()
    features = workload.features(raw)
    anchors = anchors_of(workload, features)
    encoded = transform_of(workload).encode_target(target, anchors)
    scaler = StandardScaler.fit(workload.feature_names, [Moments.of(features)])
    target_scaler = StandardScaler.fit((contract.target.name,), [Moments.of(encoded[:, None])])
    x = scaler.transform(features).astype(np.float32)
    y = target_scaler.transform(encoded[:, None]).astype(np.float32)
    split = Split(x, y, np.ones(len(x), dtype=np.float32))
    params = {"alpha": 10.0 ** (1 + variant), "products": False, "huber_delta": 0.5}
    fitted = load_family("linear").fit(params, split, split, seed=0, report=lambda step, loss: None)
    predicted = target_scaler.inverse(fitted.predict(x).astype(np.float64))[:, 0]
    interval = calibrate(transform_of(workload).interval_scale(anchors), encoded - predicted, 0.9)
    card = Card(
        workload=contract.workload,
        family=family,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        git_commit="0" * 40,
        data_hash="0" * 64,
        seed=variant,
        trial=f"{family}_{variant}",
        params=params,
        metrics={"mae": 1.0},
        feature_names=workload.feature_names,
    )
    empty = Golden(raw[:4], features[:4], Predicted({}))
    parts = BundleParts(
        onnx=fitted.to_onnx(),
        scaler=scaler,
        target_scaler=target_scaler,
        contract=contract,
        calibration=interval,
        reference=Reference(features[:50], raw[:50]),
        golden=empty,
        card=card,
    )
    answer = Model(parts).predict(empty.raw)
    golden = replace(empty, outputs=answer)
    return replace(parts, golden=golden)


def register(registry: Registry, directory: Path, family: str, variant: int = 0) -> ModelVersion:
    """Write such a bundle, register it and make it the champion of its arm."""
    version = register_version(registry, directory, family, variant)
    registry.set_champion(version)
    return version


def register_version(registry: Registry, directory: Path, family: str, variant: int = 0) -> ModelVersion:
    """Write such a bundle and register it; its arm goes on with the champion that it has."""
    path = directory / f"{family}-{variant}"
    write_bundle(make_parts(family, variant), path)
    run = registry.client.create_run(registry.experiment("apogee"))
    version = registry.register(path, run.info.run_id)
    registry.client.set_terminated(run.info.run_id)
    return version
