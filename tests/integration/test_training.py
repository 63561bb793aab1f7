"""Training the toy workload on a real Ray Tune and a real MLflow, kills included."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from toy.parts import WORKLOADS, toy_contract

from tests.support.page import blocks_of, write_files
from tests.support.searches import kept_trials
from tests.support.system import wait_until
from training.pipeline.arm_training import TrainedArm
from training.pipeline.progress import no_stages
from training.pipeline.run import TrainingBusy, TrainingOptions, train_workload
from training.registry.models import Registry
from training.runtime.bundle import read_bundle
from training.runtime.inference import load_model
from training.runtime.settings import REPOSITORY, Settings
from training.search.tune import SearchError

pytestmark = [
    pytest.mark.integration,
    # Ray 2.60, Optuna 5 and torch warn about each other's and their own past
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
        "ignore::UserWarning",
        "ignore::ResourceWarning",
    ),
]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module", autouse=True)
def cluster(gate: Path) -> Iterator[str]:
    """Ray, with the toy package importable in its workers; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(WORKLOADS.parent.parent))
        patch.setenv("TOY_FAMILY_GATE", str(gate))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        context = ray.init(
            address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()


def settings_at(var: Path) -> Settings:
    return Settings(var, WORKLOADS, f"sqlite:///{var}/mlflow/mlflow.db", f"sqlite:///{var}/store.db")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_at(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def trained(settings: Settings, cluster: str) -> list[TrainedArm]:
    return train_workload(settings, "toy", TrainingOptions(reason="test"), no_stages)


def raysonde(arguments: list[str], var: Path, address: str) -> subprocess.Popen[str]:
    """The command as a user would run it."""
    environment = os.environ | {
        "RAYSONDE_VAR": str(var),
        "RAYSONDE_WORKLOADS": str(WORKLOADS),
        "RAY_ADDRESS": address,
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "scripts", *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_every_family_gets_a_champion_that_runs(settings: Settings, trained: list[TrainedArm]) -> None:
    champions = Registry(settings).champions("toy")
    assert set(champions) == {"linear", "toy"}
    for arm in trained:
        version = champions[arm.version.arm]
        assert version.bundle == arm.version.bundle
        load_model(read_bundle(Path(version.source), version.bundle, toy_contract()))
        assert version.metrics.items() >= arm.card.metrics.items()


def test_the_model_beats_no_model(trained: list[TrainedArm]) -> None:
    mae = {arm.version.arm: arm.card.metrics["mae"] for arm in trained}
    assert mae["linear"] < mae["toy"]
    assert trained[0].card.baselines["product"]["mae"] < 1


def test_every_trial_is_a_run_under_its_search(settings: Settings, trained: list[TrainedArm]) -> None:
    registry = Registry(settings)
    runs = registry.client.search_runs([registry.experiment("toy")])
    parents = {run.info.run_id: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert {run.data.tags["family"] for run in parents.values()} == {"linear", "toy"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for arm in trained:
        trials = [
            run
            for run in runs
            if run.info.run_id not in parents and run.data.tags["family"] == arm.version.arm
        ]
        assert len(trials) == {"linear": 2, "toy": 3}[arm.version.arm]
        for run in trials:
            assert run.data.tags["mlflow.parentRunId"] in parents
            assert run.data.tags["data_hash"] == arm.card.data_hash
            assert run.data.tags["git_commit"] == arm.card.git_commit
            assert run.data.tags["reason"] == "test"
            assert run.data.params
            assert "valid_loss" in run.data.metrics
        best = registry.client.get_run(arm.version.run_id)
        assert best.data.tags["trial_id"] == arm.card.trial
        assert best.data.metrics["mae"] == arm.card.metrics["mae"]


def test_the_same_seed_gives_the_same_model(trained: list[TrainedArm], tmp_path: Path) -> None:
    options = TrainingOptions(families=("linear",))
    again = train_workload(settings_at(tmp_path), "toy", options, no_stages)[0].card
    first = trained[0].card
    assert again.family == first.family == "linear"
    assert (again.data_hash, again.params, again.metrics) == (first.data_hash, first.params, first.metrics)


def test_another_seed_splits_and_searches_otherwise(settings: Settings, trained: list[TrainedArm]) -> None:
    stages: dict[str, list[tuple[int, int]]] = {}
    other = train_workload(
        settings,
        "toy",
        TrainingOptions(families=("linear",), seed=9, trials=1),
        lambda name: lambda done, total: stages.setdefault(name, []).append((done, total)),
    )[0]
    assert other.version.version == "2"
    assert other.card.params != trained[0].card.params
    # the records are made once
    assert stages["Source data"] == [(120, 120)]
    assert stages["Search linear"] == [(0, 1), (1, 1)]
    assert Registry(settings).champions("toy")["linear"].version == "2"


def test_a_killed_search_goes_on_where_it_was(gate: Path, cluster: str, tmp_path: Path) -> None:
    for left in gate.iterdir():
        left.unlink()
    (gate / "closed").touch()
    settings = settings_at(tmp_path)
    options = TrainingOptions(families=("toy.family",))
    victim = raysonde(["train", "toy", "--families", "toy.family"], tmp_path, cluster)
    search = tmp_path / "tune" / "toy" / "toy"

    def one_trial_is_saved() -> bool:
        assert victim.poll() is None, victim.communicate()[0]
        return "TERMINATED" in kept_trials(search)

    wait_until(lambda: len(list(gate.glob("trial-*"))) >= 2 and one_trial_is_saved(), 90, "a finished trial")
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    started = len(list(gate.glob("trial-*")))
    # Tune copies its state in the background: this is what a kill in the midst of a copy leaves
    for copied in (search / "tune").glob("experiment_state-*.json"):
        copied.write_bytes(copied.read_bytes()[:100])
    registry = Registry(settings)
    (finished,) = registry.client.search_runs([registry.experiment("toy")], "tags.trial_id != ''")
    (gate / "closed").unlink()
    train_workload(settings, "toy", options, no_stages)
    runs = registry.client.search_runs([registry.experiment("toy")], "tags.trial_id != ''")
    assert len(runs) == 3
    assert finished.info.run_id in {run.info.run_id for run in runs}
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 1
    # the trial that had ended was not run again
    assert len(list(gate.glob("trial-*"))) == started + 2
    assert not search.exists()


def test_two_trainings_of_a_workload_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "tune").mkdir()
    with (tmp_path / "tune" / "toy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainingBusy, match="toy is being trained"):
            train_workload(settings_at(tmp_path), "toy", TrainingOptions(), no_stages)


def test_unknown_families_are_named(settings: Settings) -> None:
    with pytest.raises(ValueError, match=r"\['forest'\], expected some of \['linear', 'toy.family'\]"):
        train_workload(settings, "toy", TrainingOptions(families=("forest",)), no_stages)


def test_a_search_whose_trials_all_fail_says_why(settings: Settings, tmp_path: Path) -> None:
    text = (WORKLOADS / "toy.yaml").read_text().replace("toy.family", "toy.broken")
    (tmp_path / "toy.yaml").write_text(text)
    settings = Settings(tmp_path, tmp_path, settings.registry_uri, settings.store_url)
    with pytest.raises(SearchError, match=r"all 3 trials failed: .*no bread"):
        train_workload(settings, "toy", TrainingOptions(families=("toy.broken",)), no_stages)
    registry = Registry(settings)
    failed = registry.client.search_runs([registry.experiment("toy")], "attributes.status = 'FAILED'")
    assert {run.data.tags["family"] for run in failed} == {"broken"}
    assert all("no bread" in run.data.tags["error"] for run in failed if "trial_id" in run.data.tags)


def test_the_commands_train_and_list(cluster: str, tmp_path: Path) -> None:
    train = raysonde(["train", "toy", "--families", "linear", "--trials", "1"], tmp_path, cluster)
    output = train.communicate()[0]
    assert train.returncode == 0, output
    for text in ("Source data", "Search linear", "New champions", "baseline"):
        assert text in output
    assert "Warning" not in output
    listing = raysonde(["models", "toy"], tmp_path, cluster).communicate()[0]
    assert "champion" in listing
    (version,) = json.loads(raysonde(["models", "toy", "--json"], tmp_path, cluster).communicate()[0])
    assert version["arm"] == "linear"
    assert version["aliases"] == ["champion"]
    assert version["bundle"].removeprefix("sha256:")[:10] in listing


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "toys"], r"not trained: no workload 'toys' in .*; there are \[.*'toy'"),
        (["models", "toys"], r"no models: no workload 'toys' in .*; there are \[.*'toy'"),
        (["models", "toy"], "no models: the registry has none of toy: `raysonde train toy` makes them"),
        (["train", "toy", "--families", "x"], r"not trained: families: got \['x'\], expected some of"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], line: str, cluster: str, tmp_path: Path) -> None:
    process = raysonde(arguments, tmp_path, cluster)
    output = process.communicate()[0].strip()
    assert process.returncode == 1
    assert len(output.splitlines()) == 1, output
    assert re.fullmatch(f"{line}.*", output), output


def test_a_cluster_that_runs_already_imports_the_modules_of_a_users_folder(
    cluster: str, tmp_path: Path
) -> None:
    write_files(blocks_of(REPOSITORY / "docs" / "tutorial" / "adding-a-workload.md"), tmp_path)
    words = ["train", "diabetes", "--workloads", str(tmp_path / "mine"), "--families", "random_forest"]
    process = raysonde([*words, "--trials", "1"], tmp_path / "var", cluster)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "line_over_bmi" in output
