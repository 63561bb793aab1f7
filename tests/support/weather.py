"""Small weather for tests: a calm record of several stations, and bundles of both arms made of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from features.config import load_contract
from features.contract import Contract
from training.config import TrainingConfig
from training.data.dataset import read_matrix
from training.families.base import load_family
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import BundleParts
from training.runtime.settings import REPOSITORY
from training.search.trials import Best
from training.sources.base import no_progress, serial_map
from training.sources.heatwave import make_source

PARAMS: Mapping[str, Mapping[str, Any]] = {
    "ridge": {"alpha": 100.0, "products": False},
    "gru": {
        "width": 8,
        "learning_rate": 5e-3,
        "weight_decay": 1e-3,
        "huber_delta": 1.0,
        "batch_size": 256,
        "epochs": 4,
        "device": "cpu",
    },
}


@lru_cache
def weather_contract() -> Contract:
    return load_contract(REPOSITORY / "configs" / "workloads", "weather")


HOUR_S = 3600.0
START_S = 1380571200.0
CALM: Mapping[str, Any] = {"hours": 1440, "stations": 2, "height_k": 0.0, "noise_k": 1.5}


@lru_cache
def calm_records() -> pd.DataFrame:
    """Sixty days at two stations without a heat wave."""
    return make_source(weather_contract(), **CALM).records(serial_map, no_progress)


@lru_cache
def calm_prepared() -> Prepared:
    config = TrainingConfig(
        source={"module": "training.sources.heatwave", **CALM},
        families=("ridge",),
        split="time",
        baselines=("training.baselines.harmonic",),
    )
    with TemporaryDirectory() as folder:
        return prepare(weather_contract(), config, Path(folder), 0, serial_map, no_stages)


@lru_cache
def weather_parts(family: str, seed: int = 0) -> BundleParts:
    """A sound bundle of the family, trained in a second."""
    prepared = calm_prepared()
    fitted = load_family(family).fit(
        PARAMS[family], prepared.train, prepared.valid, seed, lambda step, loss: None
    )
    best = Best("t1", dict(PARAMS[family]), 0.0, fitted.to_onnx())
    return assemble(prepared, best, Origin(family, datetime(2026, 1, 2, tzinfo=UTC), "unknown", seed), 0.9)


def weather_instance(hours: int = 5, **changes: Any) -> dict[str, Any]:
    """The body of a request with the last hours of a calm day."""
    table = calm_records().iloc[100 : 100 + hours]
    names = ["time_s", "temperature_c", "windspeed_mps", "pressure_hpa"]
    samples = table[names].astype(np.float64).to_dict("records")
    return {"station": "LGA", "samples": samples, **changes}


def hours(count: int, **columns: Any) -> pd.DataFrame:
    """A steady station, 0.1 K warmer each hour."""
    table = pd.DataFrame(
        {
            "station": "A",
            "time_s": START_S + HOUR_S * np.arange(count),
            "temperature_c": 10 + 0.1 * np.arange(count),
            "windspeed_mps": 3.0,
            "pressure_hpa": 1016.0,
        }
    )
    return table.assign(**columns)


def rows_of(table: pd.DataFrame) -> list[list[float]]:
    rows: list[list[float]] = read_matrix(weather_contract(), table).tolist()
    return rows
