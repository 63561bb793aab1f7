"""Real bundles of the calories workload for tests, made in a second from generated workouts."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.config import load_sections
from features.contract import Contract
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import BundleParts
from training.runtime.settings import REPOSITORY
from training.search.trials import Best
from training.sources.base import serial_map

WORKOUTS = 2000


@lru_cache
def prepared_calories() -> Prepared:
    """Splits of generated workouts, by the workload's own file but for their number."""
    sections = load_sections(REPOSITORY / "configs" / "workloads", "calories")
    config = TrainingConfig.model_validate(sections["training"])
    config = config.model_copy(update={"source": {**config.source, "people": WORKOUTS}})
    contract = Contract.model_validate(sections["contract"])
    with tempfile.TemporaryDirectory() as folder:
        return prepare(contract, config, Path(folder), 0, serial_map, no_stages)


@lru_cache
def calories_parts(arm: str, variant: int = 0) -> BundleParts:
    """A bundle of ridge regressions; another `variant` is another model."""
    prepared = prepared_calories()
    params: dict[str, Any] = {"alpha": 10.0**variant, "products": True, "huber_delta": 0.2}
    fitted = load_family("linear").fit(params, prepared.train, prepared.valid, 0, lambda *_: None)
    origin = Origin(arm, datetime(2026, 1, 1, tzinfo=UTC), "0" * 40, variant)
    return assemble(prepared, Best(f"{arm}_{variant}", params, 0.0, fitted.to_onnx()), origin, 0.9)
