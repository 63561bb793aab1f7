"""A small search: what it fits, and what it has kept of itself."""

from __future__ import annotations

import zipfile
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from training.fitting.data import Split
from training.search.trials import SearchPlan


def kept_trials(search: Path) -> str:
    """Tune's JSON of the trials in the directory of a search; empty while nothing is kept."""
    kept = search / "state.zip"
    if not kept.is_file():
        return ""
    with zipfile.ZipFile(kept) as archive:
        (name,) = (name for name in archive.namelist() if fnmatch(name, "experiment_state-*.json"))
        return archive.read(name).decode()


def sequences(rows: int, seed: int) -> Split:
    """The class is whether the first step is positive; weights differ much."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4, 2)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[(x[:, 0, 0] > 0).astype(int)]
    return Split(x, y, rng.uniform(0.1, 1.9, rows).astype(np.float32), "classes")


TRAIN, VALID = sequences(500, 0), sequences(200, 1)


def plan(family: str, workers: int, trials: int = 1) -> SearchPlan:
    return SearchPlan(family, trials, 3, "0" * 64, workers)
