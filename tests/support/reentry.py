"""Small reentry for tests: its contract, and bundles of a few trees grown on a few tracks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from features.config import load_contract
from features.contract import Contract
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import BundleParts
from training.runtime.settings import REPOSITORY
from training.search.trials import Best
from training.sources.base import no_progress, serial_map
from training.sources.capsules import make_source

_SOURCE: Mapping[str, Any] = {"tracks": 80, "seed": 1}
_PARAMS = {"trees": 12, "min_samples_leaf": 5, "max_features": 0.4, "max_samples": 0.6}


@lru_cache
def reentry_contract() -> Contract:
    """As it comes with the project."""
    return load_contract(REPOSITORY / "configs" / "workloads", "reentry")


@lru_cache
def reentry_records() -> pd.DataFrame:
    """Eighty tracks."""
    return make_source(reentry_contract(), **_SOURCE).records(serial_map, no_progress)


@lru_cache
def reentry_prepared() -> Prepared:
    config = TrainingConfig(
        source={"module": "training.sources.capsules", **_SOURCE},
        families=("random_forest",),
        baselines=("training.baselines.most_frequent",),
    )
    with TemporaryDirectory() as folder:
        return prepare(reentry_contract(), config, Path(folder), 0, serial_map, no_stages)


@lru_cache
def reentry_parts(family: str, seed: int = 0) -> BundleParts:
    """A sound bundle, grown in a second whatever the name of the family."""
    prepared = reentry_prepared()
    fitted = load_family("random_forest").fit(
        _PARAMS, prepared.train, prepared.valid, seed, lambda step, loss: None
    )
    best = Best("t1", dict(_PARAMS), 0.0, fitted.to_onnx())
    return assemble(prepared, best, Origin(family, datetime(2026, 1, 2, tzinfo=UTC), "unknown", seed), 0.9)


def points_of(kind: str, count: int, **changes: Any) -> dict[str, Any]:
    """The body of a request with the last points of the track of this kind that is a re-entry for longest."""
    records = reentry_records()
    mine = records[records["track_id"].str.startswith(kind)]
    track = (mine["phase"] == "reentry").groupby(mine["track_id"]).sum().idxmax()
    rows = mine[mine["track_id"] == track].tail(count)
    names = [spec.name for spec in reentry_contract().fields]
    samples = [
        {name: value for name, value in row.items() if value == value}
        for row in rows[names].to_dict("records")
    ]
    return {"track_id": track, "sensor_id": "S1", "samples": samples, **changes}
