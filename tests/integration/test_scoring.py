"""Offline scoring on a real Ray: whole, cut off and gone on with, and as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from toy.parts import WORKLOADS, toy_contract, toy_parts, toy_raw

from features.config import BUILT_IN
from features.windows import cut_windows
from tests.support.flights import fly, rows_of
from tests.support.models import apogee_contract, make_parts, register
from training.registry.models import Registry
from training.runtime.bundle import BundleParts
from training.runtime.inference import Model
from training.runtime.settings import REPOSITORY, Settings
from training.runtime.tasks.base import Predicted
from training.scoring.errors import OtherRun, ScoringFailed
from training.scoring.run import Scored, score_file
from training.scoring.scorer import Stamp

pytestmark = [
    pytest.mark.integration,
    # Ray Data warns of its own future
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
        "ignore::UserWarning",
        "ignore::ResourceWarning",
    ),
]

ROWS, PER_PART = 2000, 150


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[str]:
    """Ray, with the toy package importable in its workers; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), str(WORKLOADS.parent.parent)]))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        context = ray.init(
            address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    length_m, width_m, noise = toy_raw(ROWS, seed=1).T
    columns = {
        "thing": [str(i) for i in range(ROWS)],
        "length_m": length_m,
        "width_m": width_m,
        "noise": noise,
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet", row_group_size=400)
    return tmp_path / "in.parquet"


class CutOff(Exception):
    """What a user's Ctrl-C is to a run."""


class StopsAt:
    """Progress that raises once so many records are done."""

    def __init__(self, records: int) -> None:
        self.seen: list[int] = []
        self._records = records

    def __call__(self, done: int, total: int) -> None:
        self.seen.append(done)
        if done >= self._records:
            raise CutOff


def score(source: Path, output: Path, limit: int = ROWS + 1, parts: BundleParts | None = None) -> StopsAt:
    progress = StopsAt(limit)
    stamp = Stamp("linear", "1", "sha256:0" if parts is None else "sha256:1")
    bundle = parts or toy_parts()
    scored = score_file(toy_contract(), bundle, stamp, source, output, progress, rows_per_part=PER_PART)
    assert scored == Scored(ROWS, 0)
    return progress


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(source: Path, tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    assert score(source, whole).seen[-1] == ROWS
    with pytest.raises(CutOff):
        score(source, resumed, limit=3 * PER_PART)
    assert not resumed.exists()
    with pytest.raises(OtherRun, match="bundle"):
        score(source, resumed, parts=toy_parts(seed=1))
    progress = score(source, resumed)
    assert progress.seen[0] >= 3 * PER_PART
    assert progress.seen[-1] == ROWS
    answers = pq.read_table(resumed)
    assert answers == pq.read_table(whole)
    predicted = Model(toy_parts()).predict(toy_raw(ROWS, seed=1))
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_allclose(answers[name].to_numpy(), predicted[name], rtol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"in.parquet", "whole.parquet", "resumed.parquet"}


def test_a_model_that_is_not_itself_on_a_node_scores_nothing(source: Path, tmp_path: Path) -> None:
    sound = toy_parts()
    arrays = {name: values + 1 for name, values in sound.golden.outputs.arrays.items()}
    broken = replace(sound, golden=replace(sound.golden, outputs=Predicted(arrays)))
    with pytest.raises(ScoringFailed, match="prediction"):
        score(source, tmp_path / "out.parquet", parts=broken)
    assert not (tmp_path / "out.parquet").exists()


def raysonde(arguments: list[str], var: Path, address: str) -> subprocess.CompletedProcess[str]:
    """The command as a user would run it."""
    environment = os.environ | {
        "RAYSONDE_VAR": str(var),
        "RAYSONDE_WORKLOADS": str(BUILT_IN),
        "RAY_ADDRESS": address,
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "scripts", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, text=True, capture_output=True, check=False
    )


def test_the_command_answers_each_window_of_a_folder(tmp_path: Path, cluster: str) -> None:
    var, records, output = tmp_path / "var", tmp_path / "in", tmp_path / "out"
    registry = Registry(Settings(var, BUILT_IN, f"sqlite:///{var}/mlflow/mlflow.db", "sqlite://"))
    register(registry, tmp_path, "linear", 1)
    version = register(registry, tmp_path, "mlp")
    records.mkdir()
    contract, windows = apogee_contract(), []
    for seed in range(3):
        samples, _ = fly(seed)
        windows += cut_windows(contract, rows_of(contract, samples))
        columns = {
            "flight_id": [f"F{seed}"] * len(samples),
            "time_s": samples[:, 0],
            "altitude_m": samples[:, 1],
        }
        pq.write_table(pa.table(columns), records / f"{seed}.parquet")
    done = raysonde(["score", "apogee", str(records), str(output)], var, cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(windows)} rows in {output}" in done.stdout
    answers = pq.read_table(output)
    predicted = Model(make_parts("mlp")).predict(np.stack([window.values for window in windows]))
    np.testing.assert_allclose(answers["prediction"].to_numpy(), predicted["prediction"], rtol=1e-6)
    assert set(answers["bundle"].to_pylist()) == {version.bundle}
    again = raysonde(["score", "apogee", str(records), str(output)], var, cluster)
    assert again.returncode == 1
    assert "is there already" in again.stdout
    other = raysonde(["score", "apogee", str(records), f"{output}2", "--arm", "none"], var, cluster)
    assert "no champion of arm 'none'; there are ['linear', 'mlp']" in other.stdout
