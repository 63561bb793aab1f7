"""The listing that does without MLflow says what MLflow's client says, of each kind of registry."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from toy.parts import WORKLOADS, toy_parts

from tests.support.mlflow_server import mlflow_server
from training.registry.errors import RegistryUnreadable
from training.registry.listing import has_champion, list_champions, list_versions
from training.registry.model_version import ModelVersion
from training.registry.models import Registry
from training.runtime.bundle import write_bundle
from training.runtime.settings import Settings

pytestmark = pytest.mark.integration

# of MLflow's database, before its models had a workspace, and before they had a place of their own
BEFORE_WORKSPACES = "c8d9e0f1a2b3"
BEFORE_STORAGE_LOCATIONS = "2d6e25af4d3e"


def settings_at(var: Path, uri: str) -> Settings:
    return Settings(var, WORKLOADS, uri, f"sqlite:///{var}/store.db")


def bundle_at(path: Path, family: str, seed: int = 0) -> Path:
    parts = toy_parts(seed)
    write_bundle(replace(parts, card=parts.card.model_copy(update={"family": family})), path)
    return path


def registered(registry: Registry, path: Path, family: str, seed: int = 0) -> ModelVersion:
    run = registry.client.create_run(registry.experiment("toy"))
    registry.client.log_metric(run.info.run_id, "mae", 1.5 + seed)
    return registry.register(bundle_at(path, family, seed), run.info.run_id)


def fill(registry: Registry, folder: Path) -> None:
    """One of each kind of version: trained, aliased, deleted, made by hand, and no bundle at all."""
    linear = [registered(registry, folder / str(seed), "linear", seed) for seed in range(3)]
    forest = registered(registry, folder / "forest", "random_forest")
    registry.set_champion(linear[1])
    registry.set_challenger(linear[1])
    registry.set_champion(forest)
    registry.log_numbers(linear[1], {"mae": 0.5, "widest": math.inf})
    registry.client.delete_model_version("toy.linear", linear[2].version)
    client, run = registry.client, registry.client.create_run(registry.experiment("toy"))
    client.log_artifacts(run.info.run_id, str(bundle_at(folder / "by hand", "mlp")), "mine")
    client.create_registered_model("toy.mlp")
    client.create_model_version("toy.mlp", f"{run.info.artifact_uri}/mine", run.info.run_id)
    client.create_model_version("toy.mlp", f"{run.info.artifact_uri}/not-there", run.info.run_id)
    # to LIKE the underscore is any character
    client.create_registered_model("to_.mlp")
    client.create_model_version("to_.mlp", f"{run.info.artifact_uri}/mine", run.info.run_id)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "server"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Of a filled registry of each kind."""
    var = tmp_path_factory.mktemp("listing")
    if request.param == "server":
        (var / "server").mkdir()
        with mlflow_server(var / "server") as url:
            yield filled(settings_at(var, url))
        return
    uri = f"sqlite:///{var}/mlflow/mlflow.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("cluster")
        cluster.execute("CREATE DATABASE listing")
        uri = cluster.url("listing")
    yield filled(settings_at(var, uri))


def filled(settings: Settings) -> Settings:
    fill(Registry(settings), settings.var / "bundles")
    return settings


def test_it_says_what_mlflow_says(settings: Settings) -> None:
    found = list_versions(settings, "toy", {})
    assert found == Registry(settings).versions("toy")
    assert [(one.arm, one.version, one.aliases) for one in found] == [
        ("linear", "2", ("challenger", "champion")),
        ("linear", "1", ()),
        ("mlp", "1", ()),
        ("random_forest", "1", ("champion",)),
    ]
    assert found[0].metrics["mae"] == 0.5
    assert found[2].metrics == {}


def test_the_champions_are_those_of_mlflow(settings: Settings) -> None:
    assert list_champions(settings, "toy", {}) == Registry(settings).champions("toy")


def test_a_champion_is_one_though_its_bundle_is_not_there_yet(settings: Settings) -> None:
    registry = Registry(settings)
    client, run = registry.client, registry.client.create_run(registry.experiment("late"))
    left_to_mlflow = {"MLFLOW_TRACKING_AUTH": "one of its plugins"}

    def found() -> set[bool]:
        return {has_champion(settings, "late", environment) for environment in ({}, left_to_mlflow)}

    client.create_registered_model("late.mlp")
    assert found() == {False}
    client.create_model_version("late.mlp", f"{run.info.artifact_uri}/not-there", run.info.run_id)
    assert found() == {False}
    client.set_registered_model_alias("late.mlp", "champion", "1")
    assert found() == {True}
    assert list_champions(settings, "late", {}) == {}


def test_an_underscore_in_a_name_stands_for_itself(settings: Settings) -> None:
    assert [one.arm for one in list_versions(settings, "to_", {})] == ["mlp"]
    assert list_versions(settings, "t_y", {}) == []


def test_the_command_imports_no_mlflow(settings: Settings) -> None:
    code = (
        "import sys; from scripts.cli.main import app\n"
        "app(['models', 'toy', '--json'], standalone_mode=False)\n"
        "heavy = {'mlflow', 'ray', 'torch', 'pandas', 'sklearn', 'fastapi', 'pyarrow', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    path = (os.environ.get("PYTHONPATH"), str(WORKLOADS.parent.parent))
    environment = os.environ | {
        "RAYSONDE_WORKLOADS": str(WORKLOADS),
        "RAYSONDE_REGISTRY_URI": settings.registry_uri,
        "RAYSONDE_VAR": str(settings.var),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = [{**one, "aliases": tuple(one["aliases"])} for one in json.loads(done.stdout)]
    assert printed == [asdict(version) for version in list_versions(settings, "toy", {})]


def older(path: Path, revision: str) -> Settings:
    """A registry as an older MLflow made it, with one version."""
    from alembic import command
    from mlflow.store.db.utils import InitialBase, _get_alembic_config

    path.mkdir()
    uri = f"sqlite:///{path}/mlflow.db"
    with closing(create_engine(uri).connect()) as connection:
        InitialBase.metadata.create_all(connection)
        config = _get_alembic_config(uri)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in (
            "INSERT INTO runs (run_uuid, user_id, status, start_time, lifecycle_stage, experiment_id)"
            " VALUES ('r', 'ann', 'FINISHED', 1, 'active', 0)",
            "INSERT INTO latest_metrics (run_uuid, key, value, is_nan, step, timestamp)"
            " VALUES ('r', 'mae', 1.5, 0, 0, 1)",
            "INSERT INTO registered_models (name) VALUES ('toy.linear')",
            "INSERT INTO model_versions (name, version, creation_time, source, run_id, current_stage)"
            " VALUES ('toy.linear', 1, 7, 'file:///b', 'r', 'None')",
            "INSERT INTO model_version_tags (name, version, key, value)"
            " VALUES ('toy.linear', 1, 'bundle', 'sha256:1')",
            "INSERT INTO registered_model_aliases (name, alias, version)"
            " VALUES ('toy.linear', 'champion', 1)",
        ):
            connection.execute(text(statement))
        connection.commit()
    return settings_at(path, uri)


def test_a_database_of_an_older_mlflow_is_read_as_it_is(tmp_path: Path) -> None:
    settings = older(tmp_path / "older", BEFORE_WORKSPACES)
    before = (tmp_path / "older" / "mlflow.db").read_bytes()
    assert list_versions(settings, "toy", {}) == [
        ModelVersion("toy", "linear", "1", "sha256:1", "/b", "r", 7, {"mae": 1.5}, ("champion",))
    ]
    assert (tmp_path / "older" / "mlflow.db").read_bytes() == before


def test_a_database_too_old_is_left_to_mlflow_which_knows_what_to_do(tmp_path: Path) -> None:
    settings = older(tmp_path / "oldest", BEFORE_STORAGE_LOCATIONS)
    (found,) = list_versions(settings, "toy", {})
    assert (found.version, found.bundle) == ("1", "sha256:1")


def test_what_mlflow_refuses_is_reported(tmp_path: Path) -> None:
    made = settings_at(tmp_path, f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    Registry(made)
    with closing(create_engine(made.registry_uri).connect()) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'other'"))
        connection.execute(text("ALTER TABLE model_versions DROP COLUMN storage_location"))
        connection.commit()
    # under another name: MLflow looks at each database once
    copy = shutil.copytree(tmp_path / "mlflow", tmp_path / "copy")
    settings = settings_at(tmp_path, f"sqlite:///{copy}/mlflow.db")
    with pytest.raises(RegistryUnreadable, match=r"found version other.*check RAYSONDE_REGISTRY_URI"):
        list_versions(settings, "toy", {})
