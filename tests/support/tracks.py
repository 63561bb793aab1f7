"""Small tracks for tests: positions along a great circle, and windows of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.config import load_contract
from features.contract import Contract
from features.geo import from_local
from features.windows import cut_window
from features.workloads.trajectory import WORKLOAD
from training.data.dataset import build_dataset, read_matrix
from training.pipeline.evaluation import point_metrics
from training.runtime.settings import REPOSITORY
from training.sources.base import no_progress, serial_map
from training.sources.tracks import read_positions, track_records
from training.sources.vehicles import make_source

FloatArray = NDArray[np.float64]

START_S = 1_600_000_000.0


@lru_cache
def trajectory_contract() -> Contract:
    return load_contract(REPOSITORY / "configs" / "workloads", "trajectory")


def straight(
    origin: tuple[float, float], course_deg: float, speed_mps: float, samples: int = 70, **columns: Any
) -> pd.DataFrame:
    """Positions every 10 s from `origin` on, with further columns."""
    times = np.arange(samples) * 10.0
    course = np.radians(course_deg)
    local = (speed_mps * times)[:, None] * np.array([np.sin(course), np.cos(course)])
    places = from_local(np.array(origin), local)
    table = {"time_s": START_S + times, "latitude": places[:, 0], "longitude": places[:, 1]}
    return pd.DataFrame({"track_id": "T1", **table, **columns})


def window_of(track: pd.DataFrame, end: int = 7) -> FloatArray:
    """(1, 7, 8): the window that ends with the row before `end`."""
    contract = trajectory_contract()
    return cut_window(contract, read_matrix(contract, track)[:end]).values[None]


@lru_cache
def made_up(vehicles: int = 60, seed: int = 3) -> pd.DataFrame:
    options: Mapping[str, Any] = {"vehicles": vehicles, "seed": seed}
    return make_source(trajectory_contract(), **options).records(serial_map, no_progress)


def constant_velocity_errors(path: Path) -> tuple[FloatArray, int]:
    """Return how far a constant velocity is out after 1, 5 and 10 minutes, in km, and on how many rows."""
    contract = trajectory_contract()
    dataset = build_dataset(contract, WORKLOAD, track_records(contract, read_positions(path)))
    predicted = WORKLOAD.baselines(dataset.features)["constant_velocity"]
    found = point_metrics(contract.target, dataset.target, predicted)
    errors_m = np.array([found[f"mean_error_{time_s}_s_m"] for time_s in (60, 300, 600)])
    return errors_m / 1000, len(dataset.features)
