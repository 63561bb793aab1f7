"""What only looks for champions imports no MLflow, which takes seconds of a core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.config import BUILT_IN
from tests.support.registry_tables import Rows, registry_database
from training.sources.calories import draw

ARMS = ("gradient_boosting", "mlp", "linear")
ROWS: Rows = {
    "model_versions": [(f"calories.{arm}", 1, 7, f"/gone/{arm}", None, "r", "None") for arm in ARMS],
    "model_version_tags": [(f"calories.{arm}", 1, "bundle", "sha256:1") for arm in ARMS],
    "registered_model_aliases": [(f"calories.{arm}", "champion", 1) for arm in ARMS],
}
PROGRAM = """
import json, sys
from scripts.cli.main import app
ended = app(json.loads(sys.argv[1]), standalone_mode=False)
print()
print(json.dumps([ended, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def run(var: Path, *command: str) -> tuple[str, int, set[str]]:
    """Return what the command prints, its exit status, and the packages that it imports."""
    environment = os.environ | {
        "RAYSONDE_VAR": str(var),
        "RAYSONDE_WORKLOADS": str(BUILT_IN),
        "RAYSONDE_REGISTRY_URI": registry_database(var / "mlflow.db", rows=ROWS),
        "RAYSONDE_STORE_URL": f"sqlite:///{var}/store.db",
        "COLUMNS": "500",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(command)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *printed, last = done.stdout.splitlines()
    status, modules = json.loads(last)
    return "\n".join(printed), status or 0, set(modules)


def records(var: Path) -> str:
    path = var / "records.parquet"
    draw(0, range(20)).to_parquet(path)
    return str(path)


def test_models_are_listed(tmp_path: Path) -> None:
    printed, status, modules = run(tmp_path, "models", "calories")
    assert (printed.count("champion"), status) == (3, 0)
    assert not modules & {"mlflow", "ray", "torch", "pandas", "sklearn", "fastapi", "pyarrow", "matplotlib"}


@pytest.mark.parametrize("arm", ["gradient_boosting", "linear"])
def test_a_score_finds_its_champion(tmp_path: Path, arm: str) -> None:
    chosen = () if arm == "gradient_boosting" else ("--arm", arm)  # it has the largest weight
    out = str(tmp_path / "answers")
    printed, status, modules = run(tmp_path, "score", "calories", records(tmp_path), out, *chosen)
    assert f"/gone/{arm}" in printed
    assert status == 1
    assert not modules & {"mlflow", "ray", "torch", "sklearn"}


def test_results_find_the_champions(tmp_path: Path) -> None:
    printed, status, modules = run(tmp_path, "results", "calories", records(tmp_path))
    assert "/gone/" in printed
    assert status == 1
    assert not modules & {"mlflow", "ray", "torch"}


def test_the_check_before_a_first_start_finds_the_champions(tmp_path: Path) -> None:
    printed, status, modules = run(tmp_path, "train", "--missing", "calories")
    assert (printed.strip(), status) == ("Every arm has its model: nothing is trained.", 0)
    assert not modules & {"mlflow", "ray", "torch", "sklearn"}
