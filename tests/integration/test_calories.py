"""Training calories from a file on a real Ray Tune and a real MLflow, and what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from features.config import load_contract
from training.registry.models import Registry
from training.runtime.bundle import read_bundle
from training.runtime.inference import load_model
from training.runtime.settings import REPOSITORY, Settings
from training.sources.base import no_progress, serial_map
from training.sources.calories import make_source

pytestmark = pytest.mark.integration

WORKLOADS = REPOSITORY / "configs" / "workloads"


def raysonde(var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user would run it, in a terminal of 80 columns."""
    environment = os.environ | {"RAYSONDE_VAR": str(var), "COLUMNS": "80", "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "scripts", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, text=True, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("var")


def test_a_training_from_a_file_makes_a_champion_of_every_arm(var: Path, tmp_path: Path) -> None:
    contract = load_contract(WORKLOADS, "calories")
    table = make_source(contract, people=900, seed=2).records(serial_map, no_progress)
    table.to_csv(tmp_path / "train.csv", index=False)
    done = raysonde(var, "train", "calories", "--data", str(tmp_path / "train.csv"), "--trials", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    settings = Settings(var, WORKLOADS, f"sqlite:///{var}/mlflow/mlflow.db", f"sqlite:///{var}/store.db")
    champions = Registry(settings).champions("calories")
    assert set(champions) == {"gradient_boosting", "mlp", "linear"}
    raw = np.array([[1.0, 45, 177, 81, 7, 87, 39.8]])
    for version in champions.values():
        model = load_model(read_bundle(Path(version.source), version.bundle, contract))
        assert model.predict(raw)["prediction"][0] == pytest.approx(27, rel=0.1)
        assert f"{version.metrics['rmsle']:.4f}" in done.stdout
    listed = raysonde(var, "models", "calories").stdout
    assert "RMSLE" in listed
    assert "…" not in listed + done.stdout.split("New champions")[1]


def test_a_workload_that_makes_its_data_takes_no_file(var: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id\n")
    done = raysonde(var, "train", "apogee", "--data", str(tmp_path / "train.csv"))
    assert done.returncode == 1
    assert "training.sources.rockets makes its data itself" in done.stdout
