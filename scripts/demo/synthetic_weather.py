"""The workload file of the demonstration: `weather`, as it comes, with settings for minutes in place of days.

It is in a folder of its own, given as `--workloads-dir`, so the user's workload stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from features.config import BUILT_IN, load_sections
from scripts.demo.plan import HealPlan

WORKLOAD = "weather"

# Models that know a year of calm weather and nothing else; what a search would find, so that none is needed.
_TRAINING: dict[str, Any] = {
    "source": {
        "module": "training.sources.heatwave",
        "start": "2013-07-01T00:00:00+00:00",
        "hours": 8760,
        "height_k": 0.0,
        "seed": 1_000_003,
    },
    "rows": {"every": 2},
    "trials": {"gru": 1, "ridge": 1},
    "search": {
        "gru": {
            "width": 24,
            "learning_rate": 0.005,
            "weight_decay": 0.0001,
            "huber_delta": 1.0,
            "batch_size": 256,
            "epochs": 16,
        },
        "ridge": {"alpha": 30.0, "products": False},
    },
}
_RETRAINING: dict[str, Any] = {
    "every_h": None,
    "cooldown_min": 0,
    "min_truths": 720,
    "held_out": 0.3,
    "trials": 1,
}
_PROMOTION: dict[str, Any] = {
    "shadow": {"first_truths": 90, "looks": 3},
    "probation": {"first_truths": 90, "looks": 3},
}


def sections(plan: HealPlan) -> dict[str, Any]:
    """Return the sections of the file."""
    usual = load_sections(BUILT_IN, WORKLOAD)
    changed = {
        "training": _TRAINING,
        # by request: the few stations could all belong to one arm
        "routing": {"sticky": False},
        "monitoring": {
            "detection_windows_s": list(plan.detection_windows_s),
            "check_period_s": 2.0,
            # hours of a station resemble those before them
            "input": usual["monitoring"]["input"] | {"rows_per_entity": 12},
            "concept": {"batch": 10, "warmup_batches": plan.warmup_batches},
            "calibration": {"min_truths": 100},
        },
        "retraining": _RETRAINING,
        "promotion": _PROMOTION,
    }
    return usual | {name: (usual.get(name) or {}) | values for name, values in changed.items()}


def write(folder: Path, plan: HealPlan) -> None:
    """Write the file into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{WORKLOAD}.yaml").write_text(yaml.safe_dump(sections(plan), sort_keys=False))
